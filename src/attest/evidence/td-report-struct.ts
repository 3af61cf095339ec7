import { PpmlError } from "../../base/index.ts";

/** Length of a TDREPORT_STRUCT. @see Intel TDX Module Base Architecture Specification 348549, "TDREPORT_STRUCT" */
export const TD_REPORT_STRUCT_BYTES = 1024;

/** REPORTTYPE of a TD: type 81h, subtype 0; version 0, or 1 from TDX 1.5 on where service TDs are bound. */
const TDX_TYPE = 0x81;

/**
 * The fields of a TDREPORT that a quote repeats. A TDREPORT is MACed for its own machine: nobody
 * else can verify it, and nothing in it is believed before a quote says the same.
 */
export type TdReportStruct = {
  /** 64 bytes, given by the TD. */
  readonly reportData: Uint8Array;
  /** 8 bytes. */
  readonly attributes: Uint8Array;
  /** 48 bytes: the TD's build-time measurement. */
  readonly mrTd: Uint8Array;
};

/**
 * Parses a TDREPORT of exactly 1024 bytes.
 * @throws attest.invalid
 * @see Intel 348549, "REPORTMACSTRUCT" (report data at 128) and "TDINFO_STRUCT" (at 512)
 */
export function parseTdReportStruct(bytes: Uint8Array): TdReportStruct {
  if (bytes.byteLength !== TD_REPORT_STRUCT_BYTES)
    throw new PpmlError(
      "attest.invalid",
      `expected a TDREPORT of ${TD_REPORT_STRUCT_BYTES} bytes, got ${bytes.byteLength}`,
    );
  if (bytes[0] !== TDX_TYPE || bytes[1] !== 0)
    throw new PpmlError("attest.invalid", "expected a TDREPORT of type 0x81, subtype 0");
  // Not slice(): a Buffer's is a view of the same memory.
  const take = (from: number, to: number): Uint8Array => new Uint8Array(bytes.subarray(from, to));
  return {
    reportData: take(128, 192),
    attributes: take(512, 520),
    mrTd: take(528, 576),
  };
}
