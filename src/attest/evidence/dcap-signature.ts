import { concatBytes, PpmlError } from "../../base/index.ts";
import { openBinaryReader } from "./binary-reader.ts";
import type { BinaryReader } from "./binary-reader.ts";
import { encodeSgxReport, parseSgxReport, SGX_REPORT_BYTES } from "./sgx-report.ts";
import type { SgxReport } from "./sgx-report.ts";

/** What stands after a quote's body: who signed it, and with what proof. Nothing here is verified. */
export type DcapSignature = {
  /** 64 bytes: ECDSA P-256 r and s over header and body, by the attestation key. */
  readonly quoteSignature: Uint8Array;
  /** 64 bytes: the attestation key, x and y on P-256. */
  readonly attestationKey: Uint8Array;
  /** The Quoting Enclave's report, whose report data binds the attestation key. */
  readonly qeReport: SgxReport;
  /** Its 384 bytes, which the PCK signed. */
  readonly qeReportBytes: Uint8Array;
  /** 64 bytes: ECDSA P-256 r and s over the QE's report, by the PCK. */
  readonly qeReportSignature: Uint8Array;
  /** QE Authentication Data: what the QE hashed together with the attestation key. */
  readonly qeAuthData: Uint8Array;
  readonly certificationData: CertificationData;
};

/** How the PCK certificate is told. @see SGX ECDSA QuoteLibReference DCAP API rev. 1.21, A.4 table 9 */
export type CertificationData = {
  /** 1 to 3: PPID and TCB, plain or encrypted; 4: the PCK's certificate; 5: its chain in PEM. */
  readonly type: number;
  readonly data: Uint8Array;
};

/** Certification data types. @see SGX ECDSA QuoteLibReference DCAP API rev. 1.21, A.4 table 9 */
export const CERTIFICATION_DATA = { pckCertificateChain: 5, qeReport: 6 } as const;

/** Longest QE Authentication Data and certification data in bytes that a quote may hold. */
const MAX_AUTH_DATA_BYTES = 1024;
const MAX_CERTIFICATION_DATA_BYTES = 64 * 1024;

/**
 * Parses an ECDSA 256-bit Quote Signature Data Structure, which has to fill `bytes`. From version 4
 * on the QE's part is wrapped in certification data of type 6. The fields are views of `bytes`.
 * @throws attest.invalid
 * @see SGX ECDSA QuoteLibReference DCAP API rev. 1.21, A.4 table 4; TDX DCAP Quoting Library API rev. 0.9, A.3.8
 */
export function parseDcapSignature(bytes: Uint8Array, version: 3 | 4 | 5): DcapSignature {
  const outer = reader(bytes, "the quote's signature data");
  const quoteSignature = outer.view(64);
  const attestationKey = outer.view(64);
  const inner = version === 3 ? outer : unwrapQeReport(outer);
  const qeReportBytes = inner.view(SGX_REPORT_BYTES);
  const qeReportSignature = inner.view(64);
  const qeAuthData = inner.view(inner.bounded(inner.u16(), MAX_AUTH_DATA_BYTES));
  const type = inner.u16();
  const data = inner.view(inner.bounded(inner.u32(), MAX_CERTIFICATION_DATA_BYTES));
  inner.end();
  return {
    quoteSignature,
    attestationKey,
    qeReport: parseSgxReport(qeReportBytes),
    qeReportBytes,
    qeReportSignature,
    qeAuthData,
    certificationData: { type, data },
  };
}

/** Encodes a Quote Signature Data Structure. The inverse of `parseDcapSignature`. */
export function encodeDcapSignature(
  signature: Omit<DcapSignature, "qeReportBytes">,
  version: 3 | 4 | 5,
): Uint8Array {
  const { certificationData } = signature;
  const inner = concatBytes(
    encodeSgxReport(signature.qeReport),
    signature.qeReportSignature,
    u16(signature.qeAuthData.byteLength),
    signature.qeAuthData,
    encodeCertificationData(certificationData),
  );
  return concatBytes(
    signature.quoteSignature,
    signature.attestationKey,
    version === 3
      ? inner
      : encodeCertificationData({ type: CERTIFICATION_DATA.qeReport, data: inner }),
  );
}

function unwrapQeReport(outer: BinaryReader): BinaryReader {
  const type = outer.u16();
  if (type !== CERTIFICATION_DATA.qeReport)
    throw new PpmlError(
      "attest.invalid",
      `expected certification data of type 6 (QE report) in the quote, got ${type}`,
    );
  const inner = outer.view(outer.u32());
  outer.end();
  return reader(inner, "the quote's QE report certification data");
}

function encodeCertificationData({ type, data }: CertificationData): Uint8Array {
  return concatBytes(u16(type), u32(data.byteLength), data);
}

function reader(bytes: Uint8Array, what: string): BinaryReader {
  return openBinaryReader(bytes, { what, byteOrder: "little-endian" });
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >>> 8);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
