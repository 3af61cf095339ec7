import { access, constants } from "node:fs/promises";
import { fromUtf8, PpmlError } from "../../base/index.ts";
import { probeAzureVtpm } from "./azure-vtpm.ts";
import type { MachineListing, Probed } from "./detect.ts";
import { systemCode } from "./device-io.ts";
import type { DeviceIo, DeviceLimits } from "./device-io.ts";
import { GRAMINE_DIRECTORY } from "./gramine.ts";
import { SEV_GUEST_DEVICE } from "./sev-guest.ts";
import { TDX_GUEST_DEVICE } from "./tdx-guest.ts";
import { openTpmDevice, TPM_DEVICE } from "./tpm-channel.ts";
import { probeTsmProvider, TSM_DIRECTORY } from "./tsm.ts";

/** Where a machine's TEE shows itself. */
export type MachinePaths = {
  readonly gramine: string;
  readonly tsm: string;
  readonly tpm: string;
  readonly tdxGuest: string;
  readonly sevGuest: string;
};

/** Linux's own places. */
export const MACHINE_PATHS: MachinePaths = {
  gramine: GRAMINE_DIRECTORY,
  tsm: TSM_DIRECTORY,
  tpm: TPM_DEVICE,
  tdxGuest: TDX_GUEST_DEVICE,
  sevGuest: SEV_GUEST_DEVICE,
};

const ABSENT = "is not there";
const FORBIDDEN = "may not be used by this user";
const PROBE_LIMITS: DeviceLimits = { timeoutMs: 10_000, attempts: 3, pauseMs: 200 };

/** Looks at every place where a TEE could be. Never rejects for one that is not there. */
export async function probeMachine(options: {
  readonly paths: MachinePaths;
  readonly io: DeviceIo;
}): Promise<MachineListing> {
  const { paths, io } = options;
  const tpm = openTpmDevice(paths.tpm, PROBE_LIMITS);
  const [gramine, tsm, azureVtpm, tdxGuest, sevGuest] = await Promise.all([
    probed(paths.gramine, async () =>
      fromUtf8(await io.read(`${paths.gramine}/attestation_type`, 64)).trim(),
    ),
    probed(paths.tsm, () => probeTsmProvider({ directory: paths.tsm, io, limits: PROBE_LIMITS })),
    probed(paths.tpm, () => probeAzureVtpm(tpm)),
    probed(paths.tdxGuest, () => usable(paths.tdxGuest)),
    probed(paths.sevGuest, () => usable(paths.sevGuest)),
  ]);
  return { gramine, tsm, azureVtpm, tdxGuest, sevGuest };
}

/** Whether a place is missing, closed to this user, or there without a TEE behind it. */
export function kindOfMissing(missing: string): "absent" | "forbidden" | "other" {
  if (missing.includes(FORBIDDEN)) return "forbidden";
  return missing.includes(ABSENT) ? "absent" : "other";
}

async function usable(path: string): Promise<true> {
  await access(path, constants.R_OK | constants.W_OK);
  return true;
}

async function probed<T>(path: string, look: () => Promise<T>): Promise<Probed<T>> {
  try {
    return { found: await look() };
  } catch (error) {
    if (error instanceof PpmlError) return { missing: error.message };
    const code = systemCode(error);
    if (code === "ENOENT") return { missing: `${path} ${ABSENT}` };
    if (code === "EACCES" || code === "EPERM") return { missing: `${path} ${FORBIDDEN}` };
    return { missing: `${path} cannot be used${code === null ? "" : ` (${code})`}` };
  }
}
