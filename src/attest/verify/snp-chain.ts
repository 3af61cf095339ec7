import { equalBytes, PpmlError, sha256, toHex } from "../../base/index.ts";
import { parseSnpTcbOf, SNP_PRODUCTS, snpProductOfName } from "../evidence/snp-fields.ts";
import type { SnpProduct, SnpTcb } from "../evidence/snp-fields.ts";
import type { SnpReport } from "../evidence/snp-report.ts";
import { parseVcekExtensions, parseVlekExtensions } from "../evidence/vcek-extensions.ts";
import { parseCertificate } from "../x509/certificate.ts";
import type { Certificate } from "../x509/certificate.ts";
import { verifyChain } from "../x509/chain.ts";
import { checkNotRevoked, parseCrl, verifyCrl } from "../x509/crl.ts";
import type { SnpTrust } from "./amd-roots.ts";

/** A report's certificates in DER. */
export type SnpCertificates = {
  readonly ark: Uint8Array;
  /** ASK or ASVK. */
  readonly authority: Uint8Array;
  /** VCEK or VLEK. */
  readonly key: Uint8Array;
  /** The ARK's revocation list of ASKs and ASVKs; null where none was given. */
  readonly crl: Uint8Array | null;
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
  /** The last millisecond at which all certificates, and the CRL if there is one, are valid. */
  readonly validUntilMs: number;
  readonly revocationChecked: boolean;
};

/**
 * Verifies ARK, ASK, VCEK or ARK, ASVK, VLEK at `nowMs`: the root's key is the pinned one of the
 * product that the key's certificate names, and the names are those of its kind. A CRL is looked at
 * where it is given.
 * @throws attest.collateral, attest.invalid, attest.not_verified, attest.revoked, attest.unsupported
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
  requireName(ark, `ARK-${product}${trust.nameSuffix}`);
  requireName(authority, `${prefix}${product}${trust.nameSuffix}`);
  requireName(certificate, `SEV-${kind.toUpperCase()}${trust.nameSuffix}`);
  const said =
    kind === "vcek"
      ? { ...parseVcekExtensions(certificate), cspId: null }
      : { ...parseVlekExtensions(certificate), hwId: null };
  if (snpProductOfName(said.productName) !== product)
    throw new PpmlError(
      "attest.not_verified",
      `the certificate of the report's key is for ${said.productName}, its root is ${product}'s`,
    );
  const crlUntilMs = checkRevocation({ ...options, ark, authority });
  const ends = certificates.map(({ notAfterMs }) => notAfterMs);
  return {
    kind,
    certificate,
    product,
    hwId: said.hwId,
    cspId: said.cspId,
    tcb: said.tcb,
    validUntilMs: Math.min(...ends, crlUntilMs ?? Infinity),
    revocationChecked: crlUntilMs !== null,
  };
}

/** The CRL's end; null where there is none. */
function checkRevocation(options: {
  readonly certificates: SnpCertificates;
  readonly ark: Certificate;
  readonly authority: Certificate;
  readonly trust: SnpTrust;
  readonly nowMs: number;
}): number | null {
  const { certificates, ark, authority, trust, nowMs } = options;
  if (certificates.crl === null) return null;
  const crl = parseCrl(certificates.crl);
  const issuer = { name: ark.subject, key: ark.publicKey };
  verifyCrl(crl, { issuer, algorithm: trust.algorithm, nowMs, what: "AMD's CRL" });
  checkNotRevoked(authority, crl);
  return crl.nextUpdateMs;
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

function requireName(certificate: Certificate, name: string): void {
  if (certificate.commonName !== name)
    throw new PpmlError(
      "attest.not_verified",
      `expected a certificate named "${name}", got "${certificate.commonName}": send the certificates of the report's product and kind of key`,
    );
}
