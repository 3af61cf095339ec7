import { PpmlError, toBase64Url } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";

/** Wire types of hardware Evidence; CoCo's names for the same. @see docs/attestation.md "Collecting" */
export type HardwareEvidenceType = "sgx" | "tdx" | "snp" | "az-snp-vtpm" | "az-tdx-vtpm";

/** Report data is 64 bytes with every TEE. */
export const REPORT_DATA_BYTES = 64;

/** Longest quote in bytes: a DCAP quote with its PCK chain is about 5,000. */
export const MAX_QUOTE_BYTES = 16 * 1024;

/** Evidence on the wire from bytes. */
export function evidenceOf(
  type: HardwareEvidenceType,
  evidence: Uint8Array,
  collateral: Readonly<Record<string, Uint8Array>> = {},
): WireEvidence {
  return {
    type,
    evidence: toBase64Url(evidence),
    collateral: Object.fromEntries(
      Object.entries(collateral).map(([name, bytes]) => [name, toBase64Url(bytes)]),
    ),
  };
}

/** @throws attest.invalid for other lengths than 64 */
export function requireReportData(reportData: Uint8Array): void {
  if (reportData.byteLength !== REPORT_DATA_BYTES)
    throw new PpmlError(
      "attest.invalid",
      `expected report data of ${REPORT_DATA_BYTES} bytes, got ${reportData.byteLength}`,
    );
}
