import { setTimeout as sleep } from "node:timers/promises";
import { fromUtf8, PpmlError } from "../../base/index.ts";
import type { Attester } from "./attester.ts";
import { DEVICE_LIMITS, useDevice } from "./device-io.ts";
import type { DeviceIo, DeviceLimits } from "./device-io.ts";
import { evidenceOf, MAX_QUOTE_BYTES, requireReportData } from "./evidence-of.ts";

/** Where Gramine puts its attestation files. */
export const GRAMINE_DIRECTORY = "/dev/attestation";

/** A quote is a header and an SGX report body (432 bytes), then the length of its signature data. */
const MIN_QUOTE_BYTES = 436;
const REPORT_DATA_OFFSET = 368;

/**
 * The Attester inside a Gramine enclave: writes the report data, reads the quote. The enclave has
 * one such file, so calls wait for each other; where another user of it wrote between, it is asked again.
 * @see Gramine documentation "Attestation and Secret Provisioning", low-level /dev/attestation interface
 */
export function openGramineAttester(options: {
  /** /dev/attestation, or where it is elsewhere. */
  readonly directory: string;
  readonly io: DeviceIo;
  readonly limits?: DeviceLimits;
}): Attester {
  const { directory, io, limits = DEVICE_LIMITS } = options;
  let last: Promise<unknown> = Promise.resolve();
  const collect = async (reportData: Uint8Array): Promise<Uint8Array> => {
    await requireDcap(directory, io);
    for (let tried = 1; ; tried += 1) {
      await io.write(`${directory}/user_report_data`, reportData);
      const quote = await io.read(`${directory}/quote`, MAX_QUOTE_BYTES);
      if (isBound(quote, reportData)) return quote;
      if (tried >= limits.attempts) throw otherWriter();
      await sleep(limits.pauseMs * Math.random());
    }
  };
  return {
    evidenceType: "sgx",
    attest: async (reportData) => {
      requireReportData(reportData);
      const turn = last.then(() =>
        useDevice(`Gramine's ${directory}`, limits, () => collect(reportData)),
      );
      last = turn.catch(() => undefined);
      return evidenceOf("sgx", await turn);
    },
  };
}

async function requireDcap(directory: string, io: DeviceIo): Promise<void> {
  const type = fromUtf8(await io.read(`${directory}/attestation_type`, 64)).trim();
  if (type !== "dcap")
    throw new PpmlError(
      "attest.unavailable",
      `expected Gramine's attestation type dcap, got "${type}": set sgx.remote_attestation = "dcap" in the manifest`,
      { detail: { attestationType: type } },
    );
}

/** Whether no other writer's report data went into the quote. @throws attest.unavailable where it is cut */
function isBound(quote: Uint8Array, reportData: Uint8Array): boolean {
  if (quote.byteLength < MIN_QUOTE_BYTES)
    throw new PpmlError(
      "attest.unavailable",
      `expected a quote of ${MIN_QUOTE_BYTES} bytes or more from Gramine, got ${quote.byteLength}`,
    );
  const bound = quote.subarray(REPORT_DATA_OFFSET, REPORT_DATA_OFFSET + reportData.byteLength);
  return Buffer.compare(bound, reportData) === 0;
}

function otherWriter(): PpmlError {
  return new PpmlError(
    "attest.unavailable",
    "Gramine's quote binds other report data than was written, each time: another thread of the enclave uses /dev/attestation",
  );
}
