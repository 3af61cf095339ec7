import { open } from "node:fs/promises";
import { PpmlError } from "../../base/index.ts";
import { DEVICE_LIMITS, useDevice } from "./device-io.ts";
import type { DeviceLimits } from "./device-io.ts";

/** The kernel's resource manager: transient objects of one user do not stand in another's way. */
export const TPM_DEVICE = "/dev/tpmrm0";

/** Largest command and response in bytes. @see Linux drivers/char/tpm/tpm.h, TPM_BUFSIZE */
const MAX_RESPONSE_BYTES = 4096;

/** A TPM that takes one command at a time and gives its response. */
export type TpmChannel = {
  /** Sends a command and gives the whole response. Rejects with attest.unavailable. */
  readonly transmit: (command: Uint8Array) => Promise<Uint8Array>;
};

/**
 * The TPM behind a character device: a command is one write, its response one read. The device is
 * opened for each command, so that nothing is held while nobody asks.
 * @see Linux Documentation/security/tpm/tpm_ftpm_tee.rst and drivers/char/tpm/tpm-dev-common.c
 */
export function openTpmDevice(path: string, limits: DeviceLimits = DEVICE_LIMITS): TpmChannel {
  let last: Promise<unknown> = Promise.resolve();
  return {
    transmit: (command) => {
      const turn = last.then(() => useDevice(`the TPM ${path}`, limits, () => once(path, command)));
      last = turn.catch(() => undefined);
      return turn;
    },
  };
}

async function once(path: string, command: Uint8Array): Promise<Uint8Array> {
  await using device = await open(path, "r+");
  const { bytesWritten } = await device.write(command, 0, command.byteLength, null);
  if (bytesWritten !== command.byteLength)
    throw new PpmlError(
      "attest.unavailable",
      `the TPM ${path} took ${bytesWritten} of a command's ${command.byteLength} bytes`,
    );
  const response = new Uint8Array(MAX_RESPONSE_BYTES);
  const { bytesRead } = await device.read(response, 0, response.byteLength, null);
  return response.slice(0, bytesRead);
}
