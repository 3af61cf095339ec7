import { PpmlError } from "../../base/index.ts";

/** Length of a REPORTBODY in bytes. @see Intel SDM vol. 3D, "REPORT"; sgx_report.h, sgx_report_body_t */
export const SGX_REPORT_BYTES = 384;

/**
 * An enclave's REPORTBODY with Intel's field names. Nothing here is verified.
 * @see Intel SDM vol. 3D, table "Layout of REPORT"; SGX ECDSA QuoteLibReference DCAP API rev. 1.21, A.4 table 5
 */
export type SgxReport = {
  /** 16 bytes: CPUSVN. */
  readonly cpuSvn: Uint8Array;
  /** MISCSELECT. */
  readonly miscSelect: number;
  /** 16 bytes: ISVEXTPRODID; zero without Key Separation and Sharing. */
  readonly isvExtProdId: Uint8Array;
  /** 16 bytes: FLAGS, then XFRM. @see sgxAttributes */
  readonly attributes: Uint8Array;
  /** 32 bytes: MRENCLAVE. */
  readonly mrEnclave: Uint8Array;
  /** 32 bytes: MRSIGNER. */
  readonly mrSigner: Uint8Array;
  /** 64 bytes: CONFIGID; zero without Key Separation and Sharing. */
  readonly configId: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly configSvn: number;
  /** 16 bytes: ISVFAMILYID; zero without Key Separation and Sharing. */
  readonly isvFamilyId: Uint8Array;
  /** 64 bytes, given by the enclave. */
  readonly reportData: Uint8Array;
};

/** The flags of ATTRIBUTES that attestation judges. @see Intel SDM vol. 3D, table "Layout of ATTRIBUTES" */
export type SgxAttributes = {
  readonly debug: boolean;
  readonly mode64Bit: boolean;
  readonly provisionKey: boolean;
  readonly einitTokenKey: boolean;
  /** Key Separation and Sharing. */
  readonly kss: boolean;
  /** The XSAVE features that the enclave may use. */
  readonly xfrm: bigint;
};

/** Fields that have to be zero: [from, to). @see sgx_report.h, "reserved1" to "reserved4" */
const RESERVED: readonly (readonly [number, number])[] = [
  [20, 32],
  [96, 128],
  [160, 192],
  [262, 304],
];

/**
 * Parses a REPORTBODY of exactly 384 bytes; reserved fields have to be zero. The fields are views of
 * `bytes`.
 * @throws attest.invalid
 */
export function parseSgxReport(bytes: Uint8Array): SgxReport {
  if (bytes.byteLength !== SGX_REPORT_BYTES)
    throw new PpmlError(
      "attest.invalid",
      `expected an SGX report of ${SGX_REPORT_BYTES} bytes, got ${bytes.byteLength}`,
    );
  requireZero(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    cpuSvn: bytes.subarray(0, 16),
    miscSelect: view.getUint32(16, true),
    isvExtProdId: bytes.subarray(32, 48),
    attributes: bytes.subarray(48, 64),
    mrEnclave: bytes.subarray(64, 96),
    mrSigner: bytes.subarray(128, 160),
    configId: bytes.subarray(192, 256),
    isvProdId: view.getUint16(256, true),
    isvSvn: view.getUint16(258, true),
    configSvn: view.getUint16(260, true),
    isvFamilyId: bytes.subarray(304, 320),
    reportData: bytes.subarray(320, 384),
  };
}

/** Encodes a REPORTBODY: 384 bytes. The inverse of `parseSgxReport`. */
export function encodeSgxReport(report: SgxReport): Uint8Array {
  const bytes = new Uint8Array(SGX_REPORT_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(report.cpuSvn, 0);
  view.setUint32(16, report.miscSelect, true);
  bytes.set(report.isvExtProdId, 32);
  bytes.set(report.attributes, 48);
  bytes.set(report.mrEnclave, 64);
  bytes.set(report.mrSigner, 128);
  bytes.set(report.configId, 192);
  view.setUint16(256, report.isvProdId, true);
  view.setUint16(258, report.isvSvn, true);
  view.setUint16(260, report.configSvn, true);
  bytes.set(report.isvFamilyId, 304);
  bytes.set(report.reportData, 320);
  return bytes;
}

/** Reads the flags of 16 bytes of ATTRIBUTES. @see Intel SDM vol. 3D, table "Layout of ATTRIBUTES" */
export function sgxAttributes(attributes: Uint8Array): SgxAttributes {
  const view = new DataView(attributes.buffer, attributes.byteOffset, attributes.byteLength);
  const flags = view.getUint32(0, true);
  const bit = (index: number): boolean => ((flags >>> index) & 1) === 1;
  return {
    debug: bit(1),
    mode64Bit: bit(2),
    provisionKey: bit(4),
    einitTokenKey: bit(5),
    kss: bit(7),
    xfrm: view.getBigUint64(8, true),
  };
}

function requireZero(bytes: Uint8Array): void {
  for (const [from, to] of RESERVED)
    for (let offset = from; offset < to; offset += 1)
      if (bytes[offset] !== 0)
        throw new PpmlError(
          "attest.invalid",
          `expected zero in the SGX report's reserved byte at ${offset}`,
        );
}
