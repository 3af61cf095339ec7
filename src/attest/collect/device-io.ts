import { constants } from "node:fs";
import { mkdir, open, rmdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { PpmlError } from "../../base/index.ts";

/**
 * How Attesters reach the kernel's files. Every call rejects with the system's error (`code` such as
 * ENOENT or EBUSY), or with attest.unavailable where a file holds more than its bound.
 */
export type DeviceIo = {
  /** Reads a file to its end: at most `maxBytes`, more is refused. */
  readonly read: (path: string, maxBytes: number) => Promise<Uint8Array>;
  /** Writes all of `bytes` with one write call, as the kernel's attributes demand. */
  readonly write: (path: string, bytes: Uint8Array) => Promise<void>;
  readonly makeDirectory: (path: string) => Promise<void>;
  readonly removeDirectory: (path: string) => Promise<void>;
};

/** The machine's own files. */
export const deviceFiles: DeviceIo = {
  read: async (path, maxBytes) => {
    await using file = await open(path, "r");
    // The size that stat gives says nothing about such a file: it is read until nothing comes.
    const buffer = new Uint8Array(maxBytes + 1);
    let size = 0;
    while (size < buffer.byteLength) {
      const { bytesRead } = await file.read(buffer, size, buffer.byteLength - size);
      if (bytesRead === 0) return buffer.slice(0, size);
      size += bytesRead;
    }
    throw new PpmlError(
      "attest.unavailable",
      `${path} holds more than the ${maxBytes} bytes that are expected of it`,
      { detail: { path } },
    );
  },
  write: async (path, bytes) => {
    // Neither truncated nor readable: configfs refuses to open a write-only attribute otherwise.
    await using file = await open(path, constants.O_WRONLY);
    const { bytesWritten } = await file.write(bytes, 0, bytes.byteLength);
    if (bytesWritten !== bytes.byteLength)
      throw new PpmlError(
        "attest.unavailable",
        `${path} took ${bytesWritten} of ${bytes.byteLength} bytes`,
        { detail: { path } },
      );
  },
  makeDirectory: async (path) => {
    await mkdir(path, { mode: 0o700 });
  },
  removeDirectory: rmdir,
};

/** Bounds of an Attester's work on a device. */
export type DeviceLimits = {
  /** Longest wait for the whole of one Evidence, in milliseconds. */
  readonly timeoutMs: number;
  /** How often a busy device is asked, 1 or more. */
  readonly attempts: number;
  /** Longest pause before the next attempt, in milliseconds; the pause is random up to it. */
  readonly pauseMs: number;
};

/** A quote may take the host many seconds: Linux itself waits 30 for one. */
export const DEVICE_LIMITS: DeviceLimits = { timeoutMs: 60_000, attempts: 5, pauseMs: 500 };

/** The code of a system error, such as ENOENT; null for other errors. */
export function systemCode(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}

/** Tells that a device, or an entry of one, is in use by somebody else for the moment. */
export function isBusy(error: unknown): boolean {
  return ["EBUSY", "EAGAIN", "EINTR"].includes(systemCode(error) ?? "");
}

/**
 * Runs `attempt` until it does not end busy, `limits.attempts` times at most, and no longer than
 * `limits.timeoutMs` in all. `what` names the device in the error.
 * Rejects with attest.unavailable; errors of ours pass unchanged.
 */
export async function useDevice<T>(
  what: string,
  limits: DeviceLimits,
  attempt: () => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  try {
    return await Promise.race([
      retryBusy(limits, attempt, deadline.signal),
      sleep(limits.timeoutMs, undefined, { signal: deadline.signal }).then(() => {
        throw new PpmlError(
          "attest.unavailable",
          `${what} did not answer within ${limits.timeoutMs} ms`,
          { detail: { timeoutMs: limits.timeoutMs } },
        );
      }),
    ]);
  } catch (cause) {
    if (cause instanceof PpmlError) throw cause;
    throw new PpmlError("attest.unavailable", `${what} ${explainSystemError(cause)}`, {
      detail: { system: systemCode(cause) },
      cause,
    });
  } finally {
    deadline.abort();
  }
}

async function retryBusy<T>(
  limits: DeviceLimits,
  attempt: () => Promise<T>,
  deadline: AbortSignal,
): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!isBusy(error) || tried >= limits.attempts || deadline.aborted) throw error;
    }
    await sleep(limits.pauseMs * Math.random());
  }
}

const EXPLAINED: Readonly<Record<string, string>> = {
  ENOENT: "is not there: this machine has no such device, or its driver is not loaded",
  ENODEV: "is not there: this machine has no such device, or its driver is not loaded",
  ENXIO: "is not there: this machine has no such device, or its driver is not loaded",
  EACCES: "may not be used by this user: run as root, or as a member of the device's group",
  EPERM: "may not be used by this user: run as root, or as a member of the device's group",
  EBUSY: "stayed busy: another process is using it",
  EAGAIN: "stayed busy: another process is using it",
  EINTR: "stayed busy: another process is using it",
};

function explainSystemError(error: unknown): string {
  const code = systemCode(error);
  return EXPLAINED[code ?? ""] ?? `failed${code === null ? "" : ` with ${code}`}`;
}
