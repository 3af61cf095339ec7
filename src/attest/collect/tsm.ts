import { randomBytes } from "node:crypto";
import { fromUtf8, PpmlError, toHex, utf8 } from "../../base/index.ts";
import type { Attester } from "./attester.ts";
import { DEVICE_LIMITS, systemCode, useDevice } from "./device-io.ts";
import type { DeviceIo, DeviceLimits } from "./device-io.ts";
import { evidenceOf, MAX_QUOTE_BYTES, requireReportData } from "./evidence-of.ts";
import { parseSnpCertificateTable, SNP_CERTIFICATES_BYTES } from "./snp-certificate-table.ts";

/** Where Linux 6.7 and newer make reports. */
export const TSM_DIRECTORY = "/sys/kernel/config/tsm/report";

/** Providers that are read here, and the wire type of what they give. */
const PROVIDERS: ReadonlyMap<string, "tdx" | "snp"> = new Map([
  ["tdx_guest", "tdx"],
  ["sev_guest", "snp"],
]);

type TsmReport = {
  readonly provider: string;
  readonly outblob: Uint8Array;
  readonly auxblob: Uint8Array;
};

/**
 * The Attester of a TDX or SEV-SNP guest by configfs-tsm. Each Evidence has an entry of its own with
 * a random name, removed afterwards. The kernel's generation counter has to show our writes and no
 * others, or the report is thrown away and asked for again.
 * @see Linux Documentation/ABI/testing/configfs-tsm (6.7), attributes inblob to privlevel_floor
 */
export function openTsmAttester(options: {
  /** /sys/kernel/config/tsm/report, or where it is elsewhere. */
  readonly directory: string;
  /** What the machine's provider makes. @see probeTsmProvider */
  readonly tee: "tdx" | "snp";
  /** The VMPL to ask an SNP report for, 0 to 3; null takes the lowest that the kernel allows. TDX has none. */
  readonly privlevel: number | null;
  readonly io: DeviceIo;
  readonly limits?: DeviceLimits;
}): Attester {
  const { directory, tee, io, limits = DEVICE_LIMITS } = options;
  const levelOf = (entry: string): Promise<number | null> =>
    tee === "snp" ? privlevelOf(io, entry, options.privlevel) : Promise.resolve(null);
  return {
    evidenceType: tee,
    attest: async (reportData) => {
      requireReportData(reportData);
      const report = await useDevice(`configfs-tsm (${directory})`, limits, () =>
        withEntry(directory, io, async (entry) =>
          readReport({ entry, io, privlevel: await levelOf(entry), reportData }),
        ),
      );
      requireProvider(report, tee);
      const collateral = tee === "snp" ? parseSnpCertificateTable(report.auxblob) : {};
      return evidenceOf(tee, report.outblob, collateral);
    },
  };
}

/**
 * Asks the kernel which TEE its provider is: makes an entry and reads its name.
 * Rejects with attest.unavailable.
 */
export async function probeTsmProvider(options: {
  readonly directory: string;
  readonly io: DeviceIo;
  readonly limits?: DeviceLimits;
}): Promise<string> {
  const { directory, io, limits = DEVICE_LIMITS } = options;
  return useDevice(`configfs-tsm (${directory})`, limits, () =>
    withEntry(directory, io, (entry) => readText(io, `${entry}/provider`)),
  );
}

/** The wire type of a provider's reports; null for one that is not read here. */
export function teeOfProvider(provider: string): "tdx" | "snp" | null {
  return PROVIDERS.get(provider) ?? null;
}

async function withEntry<T>(
  directory: string,
  io: DeviceIo,
  use: (entry: string) => Promise<T>,
): Promise<T> {
  const entry = `${directory}/ppml-${toHex(randomBytes(8))}`;
  await io.makeDirectory(entry);
  let result: T;
  try {
    result = await use(entry);
  } catch (error) {
    // What failed first is what the caller has to know.
    await io.removeDirectory(entry).catch(() => undefined);
    throw error;
  }
  await io.removeDirectory(entry);
  return result;
}

async function readReport(options: {
  readonly entry: string;
  readonly io: DeviceIo;
  readonly privlevel: number | null;
  readonly reportData: Uint8Array;
}): Promise<TsmReport> {
  const { entry, io, privlevel, reportData } = options;
  const before = await readGeneration(io, entry);
  let writes = 1n;
  if (privlevel !== null) {
    await io.write(`${entry}/privlevel`, utf8(String(privlevel)));
    writes += 1n;
  }
  await io.write(`${entry}/inblob`, reportData);
  const outblob = await io.read(`${entry}/outblob`, MAX_QUOTE_BYTES);
  const auxblob = await readOptional(io, `${entry}/auxblob`);
  const provider = await readText(io, `${entry}/provider`);
  const after = await readGeneration(io, entry);
  // The kernel reports a failed write of a blob nowhere else: an unchanged counter shows it too.
  if (after !== before + writes)
    throw Object.assign(new Error(`generation ${after}, expected ${before + writes}`), {
      code: "EAGAIN",
    });
  return { provider, outblob, auxblob };
}

/**
 * The level to write; null where the kernel's own, 0, will do. A guest below VMPL 0 gets no report for
 * 0, and the kernel does not raise the level to its floor by itself.
 */
async function privlevelOf(
  io: DeviceIo,
  entry: string,
  wanted: number | null,
): Promise<number | null> {
  if (wanted !== null) return wanted;
  const bytes = await readOptional(io, `${entry}/privlevel_floor`);
  const text = fromUtf8(bytes).trim();
  if (!/^[0-3]?$/.test(text))
    throw new PpmlError(
      "attest.unavailable",
      `expected a VMPL from 0 to 3 in configfs-tsm's privlevel_floor, got "${text.slice(0, 40)}"`,
    );
  return Number(text) === 0 ? null : Number(text);
}

async function readGeneration(io: DeviceIo, entry: string): Promise<bigint> {
  const text = await readText(io, `${entry}/generation`);
  if (!/^\d{1,19}$/.test(text))
    throw new PpmlError(
      "attest.unavailable",
      `expected a number in configfs-tsm's generation, got "${text}"`,
    );
  return BigInt(text);
}

async function readText(io: DeviceIo, path: string): Promise<string> {
  return fromUtf8(await io.read(path, 4096)).trim();
}

/** The attribute is there only for providers that have one. */
async function readOptional(io: DeviceIo, path: string): Promise<Uint8Array> {
  try {
    return await io.read(path, SNP_CERTIFICATES_BYTES);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return new Uint8Array();
    throw error;
  }
}

/** A report that is too short is left to nobody: the wire carries whole ones only. */
function requireProvider(report: TsmReport, tee: "tdx" | "snp"): void {
  if (teeOfProvider(report.provider) !== tee)
    throw new PpmlError(
      "attest.unavailable",
      `expected a provider of ${tee} reports behind configfs-tsm, got "${report.provider}"`,
      { detail: { provider: report.provider } },
    );
  const least = tee === "snp" ? 1184 : 636;
  if (report.outblob.byteLength < least)
    throw new PpmlError(
      "attest.unavailable",
      `expected a ${tee} report of ${least} bytes or more from configfs-tsm, got ${report.outblob.byteLength}`,
    );
}
