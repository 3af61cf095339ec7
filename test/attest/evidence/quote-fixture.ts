import { encodeDcapQuote, encodeSignedBytes } from "../../../src/attest/evidence/dcap-quote.ts";
import { INTEL_QE_VENDOR_ID } from "../../../src/attest/evidence/dcap-quote.ts";
import type { DcapQuoteHeader } from "../../../src/attest/evidence/dcap-quote.ts";
import type { DcapSignature } from "../../../src/attest/evidence/dcap-signature.ts";
import type { SgxReport } from "../../../src/attest/evidence/sgx-report.ts";
import type { TdReport, TdReportType } from "../../../src/attest/evidence/td-report.ts";

let next = 0;

/** `length` bytes, other ones at each call. */
function bytes(length: number): Uint8Array {
  next += 1;
  return Uint8Array.from({ length }, (_, index) => (next * 37 + index * 11 + 1) & 0xff);
}

/** An SGX report with another value in every field. */
export function sgxReport(): SgxReport {
  return {
    cpuSvn: bytes(16),
    miscSelect: 0x1234_5678,
    isvExtProdId: bytes(16),
    attributes: bytes(16),
    mrEnclave: bytes(32),
    mrSigner: bytes(32),
    configId: bytes(64),
    isvProdId: 0x0102,
    isvSvn: 0x0304,
    configSvn: 0x0506,
    isvFamilyId: bytes(16),
    reportData: bytes(64),
  };
}

/** A TD report with another value in every field. */
export function tdReport(type: TdReportType): TdReport {
  return {
    type,
    teeTcbSvn: bytes(16),
    mrSeam: bytes(48),
    mrSignerSeam: bytes(48),
    seamAttributes: bytes(8),
    tdAttributes: bytes(8),
    xfam: bytes(8),
    mrTd: bytes(48),
    mrConfigId: bytes(48),
    mrOwner: bytes(48),
    mrOwnerConfig: bytes(48),
    rtmr0: bytes(48),
    rtmr1: bytes(48),
    rtmr2: bytes(48),
    rtmr3: bytes(48),
    reportData: bytes(64),
    td15: type === "td10" ? null : { teeTcbSvn2: bytes(16), mrServiceTd: bytes(48) },
    td15Ex:
      type !== "td15ex"
        ? null
        : {
            vmId: 3,
            tdId: bytes(32),
            devInfo: bytes(48),
            initServiceTdHash: bytes(48),
            initServiceTdAttributes: bytes(8),
            initCpuSvn: bytes(16),
            initTeeTcbSvn: bytes(16),
            initTeeFmspc: bytes(12),
            curServiceTdHash: bytes(48),
            curServiceTdAttributes: bytes(8),
          },
  };
}

/** The kinds of quote that are parsed: version and body. */
export const QUOTE_KINDS = [
  [3, "sgx"],
  [4, "td10"],
  [5, "td10"],
  [5, "td15"],
  [5, "td15ex"],
] as const;

/** A quote of the given kind whose signatures are noise, with its bytes. */
export function noiseQuote([version, type]: (typeof QUOTE_KINDS)[number]) {
  const header: DcapQuoteHeader = {
    version,
    attestationKeyType: 2,
    qeSvn: 0x0a0b,
    pceSvn: 0x0c0d,
    qeVendorId: INTEL_QE_VENDOR_ID,
    userData: bytes(20),
  };
  const signature: Omit<DcapSignature, "qeReportBytes"> = {
    quoteSignature: bytes(64),
    attestationKey: bytes(64),
    qeReport: sgxReport(),
    qeReportSignature: bytes(64),
    qeAuthData: bytes(32),
    certificationData: { type: 5, data: bytes(100) },
  };
  const parts =
    type === "sgx"
      ? { tee: "sgx" as const, header, body: sgxReport() }
      : { tee: "tdx" as const, header, body: tdReport(type) };
  const signedBytes = encodeSignedBytes(parts);
  return { ...parts, signature, bytes: encodeDcapQuote({ header, signedBytes, signature }) };
}
