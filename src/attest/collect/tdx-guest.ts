import { equalBytes, PpmlError } from "../../base/index.ts";
import type { Attester } from "./attester.ts";
import { evidenceOf, requireReportData } from "./evidence-of.ts";
import { iowr } from "./ioctl.ts";
import type { IoctlCall, IoctlResult, IoctlRunner } from "./ioctl.ts";

/** The device of a TDX guest. */
export const TDX_GUEST_DEVICE = "/dev/tdx_guest";

/** @see Linux include/uapi/linux/tdx-guest.h, TDX_REPORTDATA_LEN and TDX_REPORT_LEN */
const REPORTDATA_BYTES = 64;
export const TD_REPORT_BYTES = 1024;

/** TDX_CMD_GET_REPORT0: _IOWR('T', 1, struct tdx_report_req). @see Linux include/uapi/linux/tdx-guest.h */
export const TDX_CMD_GET_REPORT0 = iowr("T", 1, REPORTDATA_BYTES + TD_REPORT_BYTES);

/** Where a TDREPORT says what it is, and what it binds. @see Intel TDX Module ABI, REPORTMACSTRUCT */
const REPORT_TYPE_TDX = 0x81;
const REPORT_DATA_OFFSET = 128;

/** EINTR and EBUSY: asked again. */
const BUSY_ERRNO: ReadonlySet<number> = new Set([4, 16]);
const ATTEMPTS = 5;

/**
 * The Attester of a TDX guest by /dev/tdx_guest. The device gives a TDREPORT, which only this
 * machine can check; `quoteOf` turns it into a quote (on Azure, IMDS does: `fetchTdQuote`). Where
 * Linux has configfs-tsm, that gives the quote itself and is the better way.
 * @see Linux include/uapi/linux/tdx-guest.h
 */
export function openTdxGuestAttester(options: {
  readonly device: string;
  readonly ioctl: IoctlRunner;
  readonly quoteOf: (tdReport: Uint8Array) => Promise<Uint8Array>;
}): Attester {
  return {
    evidenceType: "tdx",
    attest: async (reportData) => {
      requireReportData(reportData);
      return evidenceOf("tdx", await options.quoteOf(await getTdReport(options, reportData)));
    },
  };
}

/** The ioctl for a TDREPORT over 64 bytes: struct tdx_report_req, reportdata then tdreport. */
export function tdReportCall(device: string, reportData: Uint8Array): IoctlCall {
  const request = new Uint8Array(REPORTDATA_BYTES + TD_REPORT_BYTES);
  request.set(reportData);
  return { device, number: TDX_CMD_GET_REPORT0, buffers: [request], pointers: [] };
}

/** The 1024-byte TDREPORT of an ioctl that went well, checked to bind `reportData`. @throws attest.unavailable */
export function tdReportOf(result: IoctlResult, reportData: Uint8Array): Uint8Array {
  if (result.errno !== 0)
    throw unavailable(
      result.errno === 25
        ? "is no TDX guest device: it knows no TDX_CMD_GET_REPORT0 (errno 25)"
        : `gave no report (errno ${result.errno})`,
    );
  const report = result.buffers[0]?.subarray(REPORTDATA_BYTES) ?? new Uint8Array();
  if (report.byteLength !== TD_REPORT_BYTES || report[0] !== REPORT_TYPE_TDX)
    throw unavailable("gave something that is not a TDREPORT");
  if (!equalBytes(report.slice(REPORT_DATA_OFFSET, REPORT_DATA_OFFSET + 64), reportData))
    throw unavailable("gave a TDREPORT over other report data than was asked for");
  return report;
}

async function getTdReport(
  options: { readonly device: string; readonly ioctl: IoctlRunner },
  reportData: Uint8Array,
): Promise<Uint8Array> {
  const call = tdReportCall(options.device, reportData);
  let result = await options.ioctl(call);
  for (let tried = 1; tried < ATTEMPTS && BUSY_ERRNO.has(result.errno); tried += 1)
    result = await options.ioctl(call);
  return tdReportOf(result, reportData);
}

function unavailable(what: string): PpmlError {
  return new PpmlError("attest.unavailable", `the TDX guest device ${what}`);
}
