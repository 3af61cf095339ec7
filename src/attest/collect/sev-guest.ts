import { equalBytes, PpmlError } from "../../base/index.ts";
import type { Attester } from "./attester.ts";
import { evidenceOf, requireReportData } from "./evidence-of.ts";
import { iowr } from "./ioctl.ts";
import type { IoctlCall, IoctlResult, IoctlRunner } from "./ioctl.ts";
import { parseSnpCertificateTable, SNP_CERTIFICATES_BYTES } from "./snp-certificate-table.ts";
import { SNP_REPORT_BYTES } from "../evidence/snp-report.ts";

/** The device of an SEV-SNP guest. */
export const SEV_GUEST_DEVICE = "/dev/sev-guest";

/** Sizes of struct snp_guest_request_ioctl, snp_report_req, snp_ext_report_req and snp_report_resp. @see Linux include/uapi/linux/sev-guest.h */
const IOCTL_BYTES = 32;
const REQUEST_BYTES = 96;
const EXT_REQUEST_BYTES = 112;
const RESPONSE_BYTES = 4000;

/** SNP_GET_REPORT and SNP_GET_EXT_REPORT: _IOWR('S', 0 and 2, struct snp_guest_request_ioctl). @see Linux include/uapi/linux/sev-guest.h */
export const SNP_GET_REPORT = iowr("S", 0, IOCTL_BYTES);
export const SNP_GET_EXT_REPORT = iowr("S", 2, IOCTL_BYTES);

/** Upper half of exitinfo2. @see Linux include/uapi/linux/sev-guest.h, SNP_GUEST_VMM_ERR_BUSY */
const VMM_ERR_BUSY = 2;
/** EINTR, EAGAIN and EBUSY: asked again. */
const BUSY_ERRNO: ReadonlySet<number> = new Set([4, 11, 16]);
const ATTEMPTS = 5;

/** MSG_REPORT_RSP: u32 status, u32 size, 24 reserved, the report. @see AMD 56860 rev. 1.58 (SEV-SNP ABI) table 25 */
const REPORT_OFFSET = 32;
const REPORT_DATA_OFFSET = 0x50;

/**
 * The Attester of an SEV-SNP guest by /dev/sev-guest: the report, and with `certificates` the
 * host's table of them as collateral.
 * @see Linux include/uapi/linux/sev-guest.h
 */
export function openSevGuestAttester(options: {
  readonly device: string;
  readonly ioctl: IoctlRunner;
  /** VMPL to put into the report, 0 to 3, not below the guest's own. */
  readonly vmpl: number;
  /** Asks with SNP_GET_EXT_REPORT; hosts without a table give none. */
  readonly certificates: boolean;
}): Attester {
  return {
    evidenceType: "snp",
    attest: async (reportData) => {
      requireReportData(reportData);
      const call = snpReportCall({ ...options, reportData });
      let result = await options.ioctl(call);
      for (let tried = 1; tried < ATTEMPTS && isBusy(result); tried += 1)
        result = await options.ioctl(call);
      const report = snpReportOf(result, reportData);
      const table = result.buffers[3] ?? new Uint8Array();
      return evidenceOf("snp", report, parseSnpCertificateTable(table));
    },
  };
}

/**
 * The ioctl for a report over 64 bytes. Buffers: the ioctl's argument, the request, the response
 * and, for an extended report, the place for certificates.
 */
export function snpReportCall(options: {
  readonly device: string;
  readonly vmpl: number;
  readonly certificates: boolean;
  readonly reportData: Uint8Array;
}): IoctlCall {
  const { device, vmpl, certificates, reportData } = options;
  const argument = new Uint8Array(IOCTL_BYTES);
  // msg_version "must be non-zero"; req_data and resp_data are at 8 and 16, exitinfo2 at 24.
  argument[0] = 1;
  const request = new Uint8Array(certificates ? EXT_REQUEST_BYTES : REQUEST_BYTES);
  request.set(reportData);
  const view = new DataView(request.buffer);
  view.setUint32(64, vmpl, true);
  const pointers = [
    { from: 0, offset: 8, to: 1 },
    { from: 0, offset: 16, to: 2 },
  ];
  const buffers = [argument, request, new Uint8Array(RESPONSE_BYTES)];
  if (certificates) {
    // certs_address at 96, certs_len at 104.
    view.setUint32(104, SNP_CERTIFICATES_BYTES, true);
    pointers.push({ from: 1, offset: 96, to: 3 });
    buffers.push(new Uint8Array(SNP_CERTIFICATES_BYTES));
  }
  const number = certificates ? SNP_GET_EXT_REPORT : SNP_GET_REPORT;
  return { device, number, buffers, pointers };
}

/** The 1184-byte report of an ioctl that went well, checked to bind `reportData`. @throws attest.unavailable */
export function snpReportOf(result: IoctlResult, reportData: Uint8Array): Uint8Array {
  const [argument, , response] = result.buffers;
  if (argument?.byteLength !== IOCTL_BYTES || response?.byteLength !== RESPONSE_BYTES)
    throw unavailable("gave buffers of other sizes than it was given");
  const { firmware, vmm } = exitInfo(argument);
  if (result.errno !== 0)
    throw unavailable(
      result.errno === 25
        ? "is no SEV-SNP guest device: it knows no SNP_GET_REPORT (errno 25)"
        : `gave no report (errno ${result.errno}, firmware error ${firmware}, VMM error ${vmm})`,
    );
  const view = new DataView(response.buffer, response.byteOffset, response.byteLength);
  const status = view.getUint32(0, true);
  const size = view.getUint32(4, true);
  if (status !== 0 || size !== SNP_REPORT_BYTES)
    throw unavailable(
      `gave status ${status} and ${size} bytes, expected 0 and ${SNP_REPORT_BYTES}`,
    );
  const report = response.slice(REPORT_OFFSET, REPORT_OFFSET + SNP_REPORT_BYTES);
  if (!equalBytes(report.subarray(REPORT_DATA_OFFSET, REPORT_DATA_OFFSET + 64), reportData))
    throw unavailable("gave a report over other report data than was asked for");
  return report;
}

function isBusy(result: IoctlResult): boolean {
  const [argument] = result.buffers;
  return (
    BUSY_ERRNO.has(result.errno) ||
    (result.errno !== 0 && argument !== undefined && exitInfo(argument).vmm === VMM_ERR_BUSY)
  );
}

/** exitinfo2: "bits[63:32]: VMM error code, bits[31:0] firmware error code". */
function exitInfo(argument: Uint8Array): { readonly firmware: number; readonly vmm: number } {
  const view = new DataView(argument.buffer, argument.byteOffset, argument.byteLength);
  return { firmware: view.getUint32(24, true), vmm: view.getUint32(28, true) };
}

function unavailable(what: string): PpmlError {
  return new PpmlError("attest.unavailable", `the SEV guest device ${what}`);
}
