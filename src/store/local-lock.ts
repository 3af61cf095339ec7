import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PpmlError, tryFileLock } from "../base/index.ts";
import { RESERVED_PREFIX } from "./name.ts";

const LOCK_FILE = `${RESERVED_PREFIX}lock`;
const TIMEOUT_MS = 30_000;

/**
 * Runs `step` while no other process on this machine runs one for the same root. Compare-and-rename
 * needs it: POSIX has no rename with a condition. `step` is synchronous, so that a holder never waits
 * for anything but the file system.
 * @throws store.io where the lock file cannot be used, or is held for 30 seconds; what `step` throws
 */
export async function withRootLock<T>(root: string, step: () => T): Promise<T> {
  const giveUpAtMs = performance.now() + TIMEOUT_MS;
  for (;;) {
    using lock = await tryFileLock(join(root, LOCK_FILE)).catch((cause: unknown) => {
      throw new PpmlError(
        "store.io",
        "the store's lock file cannot be used: check its permissions",
        { cause },
      );
    });
    if (lock !== null) return step();
    if (performance.now() > giveUpAtMs)
      throw new PpmlError("store.io", `the store at ${root} is locked by another process`);
    await delay(1 + Math.random() * 10);
  }
}
