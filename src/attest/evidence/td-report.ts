import { PpmlError } from "../../base/index.ts";

/** Kinds of TD report: of TDX 1.0, of TDX 1.5 and the extended one of TDX 1.5. */
export type TdReportType = "td10" | "td15" | "td15ex";

/** Lengths in bytes. @see Intel DCAP, sgx_quote_4.h sgx_report2_body_t; sgx_quote_5.h sgx_report2_body_v1_5_t, _v1_5_ex_t */
export const TD_REPORT_BYTES: Readonly<Record<TdReportType, number>> = {
  td10: 584,
  td15: 648,
  td15ex: 885,
};

/**
 * A TD's report body with Intel's field names. Nothing here is verified.
 * @see Intel TDX DCAP Quoting Library API rev. 0.9, A.3.2 "TD Quote Body" (sgx_report2_body_t)
 */
export type TdReport = {
  readonly type: TdReportType;
  /** 16 bytes: TEE_TCB_SVN, of the module that launched the TD. */
  readonly teeTcbSvn: Uint8Array;
  /** 48 bytes: measurement of the TDX module. */
  readonly mrSeam: Uint8Array;
  /** 48 bytes: its signer; zero for Intel. */
  readonly mrSignerSeam: Uint8Array;
  /** 8 bytes. */
  readonly seamAttributes: Uint8Array;
  /** 8 bytes. @see tdAttributes */
  readonly tdAttributes: Uint8Array;
  /** 8 bytes: the XSAVE features that the TD may use. */
  readonly xfam: Uint8Array;
  /** 48 bytes: measurement of the TD's initial contents. */
  readonly mrTd: Uint8Array;
  /** 48 bytes, given by the host. */
  readonly mrConfigId: Uint8Array;
  /** 48 bytes, given by the host. */
  readonly mrOwner: Uint8Array;
  /** 48 bytes, given by the host. */
  readonly mrOwnerConfig: Uint8Array;
  /** RTMR0 to RTMR3, 48 bytes each. */
  readonly rtmr0: Uint8Array;
  readonly rtmr1: Uint8Array;
  readonly rtmr2: Uint8Array;
  readonly rtmr3: Uint8Array;
  /** 64 bytes, given by the TD. */
  readonly reportData: Uint8Array;
  /** What TDX 1.5 adds; null in a report of TDX 1.0. */
  readonly td15: Td15Fields | null;
  /** What the extended report adds; null in the others. */
  readonly td15Ex: Td15ExFields | null;
};

/** @see Intel DCAP, sgx_quote_5.h, sgx_report2_body_v1_5_t */
export type Td15Fields = {
  /** 16 bytes: TEE_TCB_SVN of the module that runs now, after updates that preserve TDs. */
  readonly teeTcbSvn2: Uint8Array;
  /** 48 bytes: hash over the bound service TDs; zero where none is bound. */
  readonly mrServiceTd: Uint8Array;
};

/** @see Intel DCAP, sgx_quote_5.h, sgx_report2_body_v1_5_ex_t */
export type Td15ExFields = {
  /** 0 for the L1 VMM or a TD without partitions. */
  readonly vmId: number;
  /** 32 bytes: new at each launch of the TD. */
  readonly tdId: Uint8Array;
  /** 48 bytes: hash of the device information. */
  readonly devInfo: Uint8Array;
  /** 48 bytes: hash over the service TDs bound at creation. */
  readonly initServiceTdHash: Uint8Array;
  /** 8 bytes. */
  readonly initServiceTdAttributes: Uint8Array;
  /** 16 bytes: CPUSVN at creation. */
  readonly initCpuSvn: Uint8Array;
  /** 16 bytes: TEE_TCB_SVN at creation. */
  readonly initTeeTcbSvn: Uint8Array;
  /** 12 bytes: model of the platform that the TD was created on. */
  readonly initTeeFmspc: Uint8Array;
  /** 48 bytes: hash over the service TDs bound now. */
  readonly curServiceTdHash: Uint8Array;
  /** 8 bytes. */
  readonly curServiceTdAttributes: Uint8Array;
};

/** The fields of bytes in their order, with their lengths; `vmId` is one byte. */
const BASE = [
  ["teeTcbSvn", 16],
  ["mrSeam", 48],
  ["mrSignerSeam", 48],
  ["seamAttributes", 8],
  ["tdAttributes", 8],
  ["xfam", 8],
  ["mrTd", 48],
  ["mrConfigId", 48],
  ["mrOwner", 48],
  ["mrOwnerConfig", 48],
  ["rtmr0", 48],
  ["rtmr1", 48],
  ["rtmr2", 48],
  ["rtmr3", 48],
  ["reportData", 64],
] as const;
const TD15 = [
  ["teeTcbSvn2", 16],
  ["mrServiceTd", 48],
] as const;
const TD15EX = [
  ["tdId", 32],
  ["devInfo", 48],
  ["initServiceTdHash", 48],
  ["initServiceTdAttributes", 8],
  ["initCpuSvn", 16],
  ["initTeeTcbSvn", 16],
  ["initTeeFmspc", 12],
  ["curServiceTdHash", 48],
  ["curServiceTdAttributes", 8],
] as const;

/**
 * Parses a TD report of exactly its type's length. The fields are views of `bytes`.
 * @throws attest.invalid
 */
export function parseTdReport(bytes: Uint8Array, type: TdReportType): TdReport {
  if (bytes.byteLength !== TD_REPORT_BYTES[type])
    throw new PpmlError(
      "attest.invalid",
      `expected a TD report of ${TD_REPORT_BYTES[type]} bytes, got ${bytes.byteLength}`,
    );
  // Each field by its offset, and not by the layouts: four times as fast.
  return {
    type,
    teeTcbSvn: bytes.subarray(0, 16),
    mrSeam: bytes.subarray(16, 64),
    mrSignerSeam: bytes.subarray(64, 112),
    seamAttributes: bytes.subarray(112, 120),
    tdAttributes: bytes.subarray(120, 128),
    xfam: bytes.subarray(128, 136),
    mrTd: bytes.subarray(136, 184),
    mrConfigId: bytes.subarray(184, 232),
    mrOwner: bytes.subarray(232, 280),
    mrOwnerConfig: bytes.subarray(280, 328),
    rtmr0: bytes.subarray(328, 376),
    rtmr1: bytes.subarray(376, 424),
    rtmr2: bytes.subarray(424, 472),
    rtmr3: bytes.subarray(472, 520),
    reportData: bytes.subarray(520, 584),
    td15:
      type === "td10"
        ? null
        : { teeTcbSvn2: bytes.subarray(584, 600), mrServiceTd: bytes.subarray(600, 648) },
    td15Ex: type === "td15ex" ? { vmId: bytes[648] ?? 0, ...takeFields(bytes, 649, TD15EX) } : null,
  };
}

/**
 * Encodes a TD report. The inverse of `parseTdReport`.
 * @throws attest.invalid where the fields are not those of the type, or have another length
 */
export function encodeTdReport(report: TdReport): Uint8Array {
  const { type, td15, td15Ex } = report;
  if ((td15 !== null) !== (type !== "td10") || (td15Ex !== null) !== (type === "td15ex"))
    throw new PpmlError("attest.invalid", `the fields are not those of a ${type} report`);
  const bytes = new Uint8Array(TD_REPORT_BYTES[type]);
  putFields(bytes, { offset: 0, fields: BASE, values: report });
  if (td15 !== null) putFields(bytes, { offset: 584, fields: TD15, values: td15 });
  if (td15Ex !== null) {
    bytes[648] = td15Ex.vmId;
    putFields(bytes, { offset: 649, fields: TD15EX, values: td15Ex });
  }
  return bytes;
}

type Layout<Name extends string> = readonly (readonly [name: Name, length: number])[];

function takeFields<Name extends string>(
  bytes: Uint8Array,
  start: number,
  fields: Layout<Name>,
): Record<Name, Uint8Array> {
  const values: Partial<Record<Name, Uint8Array>> = {};
  let offset = start;
  for (const [name, length] of fields) {
    values[name] = bytes.subarray(offset, offset + length);
    offset += length;
  }
  return values as Record<Name, Uint8Array>;
}

function putFields<Name extends string>(
  bytes: Uint8Array,
  options: {
    readonly offset: number;
    readonly fields: Layout<Name>;
    readonly values: Readonly<Record<Name, Uint8Array>>;
  },
): void {
  let { offset } = options;
  for (const [name, length] of options.fields) {
    const value = options.values[name];
    if (value.byteLength !== length)
      throw new PpmlError(
        "attest.invalid",
        `expected ${length} bytes of ${name}, got ${value.byteLength}`,
      );
    bytes.set(value, offset);
    offset += length;
  }
}
