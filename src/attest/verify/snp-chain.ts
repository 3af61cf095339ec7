import { equalBytes, PpmlError, sha256, toHex } from "../../base/index.ts";
import { parseSnpTcbOf, SNP_PRODUCTS, snpProductOfName } from "../evidence/snp-fields.ts";
import type { SnpProduct, SnpTcb } from "../evidence/snp-fields.ts";
import type { SnpReport } from "../evidence/snp-report.ts";
import { parseVcekExtensions, parseVlekExtensions } from "../evidence/vcek-extensions.ts";
import { parseCertificate } from "../x509/certificate.ts";
import type { Certificate } from "../x509/certificate.ts";
import { verifyChain } from "../x509/chain.ts";
import type { SnpTrust } from "./amd-roots.ts";

/** Certificates in DER: the root, the authority below it (ASK or ASVK), and the report's key (VCEK or VLEK). */
export type SnpCertificates = {
  readonly ark: Uint8Array;
  readonly authority: Uint8Array;
  readonly key: Uint8Array;
};

/** A report's key whose chain was verified, and what its certificate says. */
export type SnpKey = {
  readonly kind: "vcek" | "vlek";
  readonly certificate: Certificate;
  readonly product: SnpProduct;
  /** The chip's id (64 bytes, Turin 8) of a VCEK; null for a VLEK. */
  readonly hwId: Uint8Array | null;
  readonly cspId: string | null;
  readonly tcb: SnpTcb;
  readonly validUntilMs: number;
};

/**
 * Verifies ARK, ASK, VCEK or ARK, ASVK, VLEK at `nowMs`: the root's key is the pinned one of the
 * product that the key's certificate names, and the names are those of its kind.
 * @throws attest.invalid, attest.not_verified, attest.unsupported
 * @see AMD 57230 (VCEK), AMD 58369 (VLEK), certificate chain
 */
export function verifySnpChain(options: {
  readonly kind: "vcek" | "vlek";
  readonly certificates: SnpCertificates;
  readonly trust: SnpTrust;
  readonly nowMs: number;
}): SnpKey {
  const { kind, trust, nowMs } = options;
  const certificate = parseCertificate(options.certificates.key);
  const authority = parseCertificate(options.certificates.authority);
  const ark = parseCertificate(options.certificates.ark);
  const product = pinnedProduct(ark, trust);
  const certificates = [ark, authority, certificate];
  verifyChain({ certificates, algorithm: trust.algorithm, nowMs });
  const prefix = kind === "vcek" ? "SEV-" : "SEV-VLEK-";
  requireName(ark, `ARK-${product}`);
  requireName(authority, `${prefix}${product}`);
  requireName(certificate, `SEV-${kind.toUpperCase()}`);
  const said =
    kind === "vcek"
      ? { ...parseVcekExtensions(certificate), cspId: null }
      : { ...parseVlekExtensions(certificate), hwId: null };
  if (snpProductOfName(said.productName) !== product)
    throw new PpmlError(
      "attest.not_verified",
      `the certificate of the report's key is for ${said.productName}, its root is ${product}'s`,
    );
  const validUntilMs = Math.min(...certificates.map(({ notAfterMs }) => notAfterMs));
  const { hwId, cspId, tcb } = said;
  return { kind, certificate, product, hwId, cspId, tcb, validUntilMs };
}

/**
 * Checks that the key was made for this report: its chip (a VLEK has none) and its TCB.
 * @throws attest.invalid, attest.not_verified
 */
export function checkSnpKey(report: SnpReport, key: SnpKey): void {
  const { hwId, product } = key;
  if (hwId !== null) {
    // Turin's ids are 8 bytes; the report's field is filled up with zeros.
    const padded = new Uint8Array(64);
    padded.set(hwId);
    if (!equalBytes(padded, report.chipId))
      throw new PpmlError(
        "attest.not_verified",
        report.chipId.every((byte) => byte === 0)
          ? "the report hides its chip's id, so that no VCEK can be matched: let the host show it, or use a VLEK"
          : "the VCEK certificate is of another chip than the report: send the certificate of this chip",
      );
  }
  const reported = parseSnpTcbOf(report.reportedTcb, product);
  for (const part of ["bootloader", "tee", "snp", "microcode", "fmc"] as const)
    if (key.tcb[part] !== reported[part])
      throw new PpmlError(
        "attest.not_verified",
        `the ${key.kind.toUpperCase()} certificate is for ${part} SVN ${key.tcb[part]}, the report says ${reported[part]}: send the certificate of this TCB`,
      );
}

/** The product whose root key this is. */
function pinnedProduct(ark: Certificate, trust: SnpTrust): SnpProduct {
  const digest = toHex(sha256(ark.publicKey.export({ format: "der", type: "spki" })));
  const product = SNP_PRODUCTS.find((line) => trust.arkKeySha256[line] === digest);
  if (product === undefined)
    throw new PpmlError(
      "attest.not_verified",
      `the root certificate "${ark.commonName}" does not hold a pinned root key: send AMD's own ARK of this product`,
      { detail: { keySha256: digest } },
    );
  return product;
}

/** Names of a simulation go on after AMD's. */
function requireName(certificate: Certificate, name: string): void {
  const { commonName } = certificate;
  if (commonName !== name && !commonName.startsWith(`${name} `))
    throw new PpmlError(
      "attest.not_verified",
      `expected a certificate named "${name}", got "${commonName}": send the certificates of the report's product and kind of key`,
    );
}
