import { PpmlError } from "../../base/index.ts";
import { parseHclRuntimeData } from "./hcl-runtime-data.ts";
import type { HclRuntimeData } from "./hcl-runtime-data.ts";
import { SNP_REPORT_BYTES } from "./snp-report.ts";
import { TD_REPORT_STRUCT_BYTES } from "./td-report-struct.ts";

/** NV index of an Azure vTPM at which the report lies. @see learn.microsoft.com/azure/confidential-computing/guest-attestation-confidential-virtual-machines-design */
export const HCL_REPORT_NV_INDEX = 0x01400001;

const MAX_REPORT_BYTES = 64 * 1024;
const HEADER_BYTES = 32;
/** The hardware's report lies in an area of one size, whatever its kind. */
const HARDWARE_AREA_BYTES = 1184;
const DATA_OFFSET = HEADER_BYTES + HARDWARE_AREA_BYTES;
const DATA_HEADER_BYTES = 20;
const MAGIC = 0x414c4348;
/** A report of the guest's own request. */
const REQUEST_TYPE = 2;
const HASH_TYPE_SHA256 = 1;

/** The kind of hardware report inside. */
export type HclReportType = "snp" | "tdx";

/**
 * What an Azure vTPM's paravisor (HCL) keeps at the NV index: the hardware's report, and the runtime
 * data whose digest the hardware's report binds. Nothing here is verified.
 */
export type HclReport = {
  readonly type: HclReportType;
  /** An SNP report of 1184 bytes, or a TDREPORT of 1024: MACed for its machine, not signed. */
  readonly hardwareReport: Uint8Array;
  /** The JSON's bytes: SHA-256 over them stands in the report data. */
  readonly runtimeDataBytes: Uint8Array;
  readonly runtimeData: HclRuntimeData;
};

/**
 * Parses an HCL report: a header of 32 bytes, the hardware report's area of 1184, a header of 20,
 * the runtime data; zeros up to the NV index's size may follow. At most 64 KiB.
 * @throws attest.invalid, attest.unsupported
 * @see learn.microsoft.com/azure/confidential-computing/guest-attestation-confidential-virtual-machines-design, "Attestation report"
 */
export function parseHclReport(bytes: Uint8Array): HclReport {
  if (bytes.byteLength < DATA_OFFSET + DATA_HEADER_BYTES || bytes.byteLength > MAX_REPORT_BYTES)
    throw invalid(
      `expected ${DATA_OFFSET + DATA_HEADER_BYTES} to ${MAX_REPORT_BYTES} bytes, got ${bytes.byteLength}`,
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (offset: number): number => view.getUint32(offset, true);
  if (word(0) !== MAGIC) throw invalid("expected it to begin with HCLA");
  if (word(4) !== 1 && word(4) !== 2) throw unsupported(`expected version 1 or 2, got ${word(4)}`);
  if (word(12) !== REQUEST_TYPE || word(16) !== 0)
    throw invalid(`expected request type 2 and status 0, got ${word(12)} and ${word(16)}`);
  requireZero(bytes.subarray(20, HEADER_BYTES), "its header");
  const length = word(DATA_OFFSET + 16);
  const dataStart = DATA_OFFSET + DATA_HEADER_BYTES;
  if (length > bytes.byteLength - dataStart)
    throw invalid(`its runtime data of ${length} bytes is cut`);
  if (word(DATA_OFFSET) !== length + DATA_HEADER_BYTES || word(8) !== length + dataStart)
    throw invalid("its three lengths do not agree");
  if (word(DATA_OFFSET + 4) !== 1)
    throw unsupported(`expected runtime data of version 1, got ${word(DATA_OFFSET + 4)}`);
  if (word(DATA_OFFSET + 12) !== HASH_TYPE_SHA256)
    throw unsupported(`expected hash type 1 (SHA-256), got ${word(DATA_OFFSET + 12)}`);
  requireZero(bytes.subarray(dataStart + length), "the end");
  // Not slice(): a Buffer's is a view of the same memory.
  const runtimeDataBytes = new Uint8Array(bytes.subarray(dataStart, dataStart + length));
  return {
    ...takeHardwareReport(bytes, word(DATA_OFFSET + 8)),
    runtimeDataBytes,
    runtimeData: parseHclRuntimeData(runtimeDataBytes),
  };
}

/** Report types: 2 is SNP, 4 is TDX. Others name machines without hardware isolation. */
function takeHardwareReport(
  bytes: Uint8Array,
  type: number,
): Pick<HclReport, "type" | "hardwareReport"> {
  if (type !== 2 && type !== 4)
    throw unsupported(`expected report type 2 (SNP) or 4 (TDX), got ${type}`);
  const length = type === 2 ? SNP_REPORT_BYTES : TD_REPORT_STRUCT_BYTES;
  const end = HEADER_BYTES + length;
  requireZero(bytes.subarray(end, DATA_OFFSET), "its hardware report's area");
  return {
    type: type === 2 ? "snp" : "tdx",
    hardwareReport: new Uint8Array(bytes.subarray(HEADER_BYTES, end)),
  };
}

function requireZero(bytes: Uint8Array, where: string): void {
  if (bytes.some((byte) => byte !== 0))
    throw invalid(`expected zero in the unused bytes of ${where}`);
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `not a valid HCL report: ${what}`);
}

function unsupported(what: string): PpmlError {
  return new PpmlError("attest.unsupported", `the HCL report is of an unknown kind: ${what}`);
}
