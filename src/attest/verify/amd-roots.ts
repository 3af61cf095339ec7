import type { SnpProduct } from "../evidence/snp-fields.ts";
import type { ChainAlgorithm } from "../x509/chain.ts";
import { RSA_4096_PSS_SHA384 } from "../x509/rsa.ts";

/** What an SNP chain has to lead to. */
export type SnpTrust = {
  /** How every certificate of the chain is signed. */
  readonly algorithm: ChainAlgorithm;
  /** SHA-256, in hex, of each product's ARK key: its SubjectPublicKeyInfo in DER. */
  readonly arkKeySha256: Readonly<Record<SnpProduct, string>>;
  /** What follows AMD's names of certificates: nothing in production. */
  readonly nameSuffix: string;
};

/**
 * AMD's root keys: RSA-4096, of the ARK certificates that AMD's key distribution service gives at
 * https://kdsintf.amd.com/vcek/v1/{Milan,Genoa,Turin}/cert_chain. The key is pinned, not the
 * certificate, which AMD may issue again.
 * @see AMD 57230 (VCEK) section 4.2
 */
export const AMD_SNP_TRUST: SnpTrust = {
  algorithm: RSA_4096_PSS_SHA384,
  arkKeySha256: {
    Milan: "9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9",
    Genoa: "429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831",
    Turin: "4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08",
  },
  nameSuffix: "",
};
