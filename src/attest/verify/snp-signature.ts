import { verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { concatBytes, PpmlError } from "../../base/index.ts";
import { SNP_ECDSA_P384_SHA384, SNP_SIGNED_BYTES } from "../evidence/snp-report.ts";
import type { SnpReport } from "../evidence/snp-report.ts";
import { isP384 } from "../x509/chain.ts";

/**
 * Verifies a report's signature by the chip's key (VCEK or VLEK) over its first 672 bytes.
 * @throws attest.not_verified
 * @see AMD 56860 rev. 1.58 (SEV-SNP ABI) table 23, SIGNATURE
 */
export function verifySnpSignature(options: {
  /** The report's 1184 bytes, from which `report` was parsed. */
  readonly bytes: Uint8Array;
  readonly report: SnpReport;
  readonly publicKey: KeyObject;
}): void {
  const { bytes, report, publicKey } = options;
  if (report.signatureAlgo !== SNP_ECDSA_P384_SHA384)
    throw new PpmlError(
      "attest.not_verified",
      `expected SIGNATURE_ALGO 1 (ECDSA P-384 with SHA-384), got ${report.signatureAlgo}`,
    );
  const signature = concatBytes(report.signature.r, report.signature.s);
  const ok =
    isP384(publicKey) &&
    verify(
      "sha384",
      bytes.subarray(0, SNP_SIGNED_BYTES),
      { key: publicKey, dsaEncoding: "ieee-p1363" },
      signature,
    );
  if (!ok)
    throw new PpmlError(
      "attest.not_verified",
      "the SNP report is not signed by the key in its certificate: its bytes were changed, or the certificate belongs to another chip or TCB",
    );
}
