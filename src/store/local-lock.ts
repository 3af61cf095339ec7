import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PpmlError } from "../base/index.ts";
import { RESERVED_PREFIX } from "./name.ts";

const LOCK_FILE = `${RESERVED_PREFIX}lock`;
const TIMEOUT_MS = 30_000;
const SQLITE_BUSY = 5;

/**
 * Runs `step` while no other process on this machine runs one for the same root. Compare-and-rename
 * needs it: POSIX has no rename with a condition. SQLite's file lock is used because Node has no
 * flock, and the kernel drops it however the process ends. `step` is synchronous, so that a holder
 * never waits for anything but the file system.
 * @throws store.io where the lock file cannot be used, or is held for 30 seconds; what `step` throws
 */
export async function withRootLock<T>(root: string, step: () => T): Promise<T> {
  // Loaded here so that reading from a store never loads SQLite.
  const { DatabaseSync } = await import("node:sqlite");
  const giveUpAtMs = performance.now() + TIMEOUT_MS;
  for (;;) {
    const outcome = tryLocked(() => new DatabaseSync(join(root, LOCK_FILE), { timeout: 0 }), step);
    if (outcome !== null) return outcome.value;
    if (performance.now() > giveUpAtMs)
      throw new PpmlError("store.io", `the store at ${root} is locked by another process`);
    await delay(1 + Math.random() * 10);
  }
}

type Database = Disposable & { exec: (sql: string) => void };

function tryLocked<T>(openDatabase: () => Database, step: () => T): { readonly value: T } | null {
  try {
    using database = openDatabase();
    // The lock is all that is wanted: nothing is ever written to the file, nor a journal beside it.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return { value: runStep(step) };
  } catch (error) {
    if (error instanceof StepError) throw error.cause;
    if (isBusy(error)) return null;
    throw new PpmlError("store.io", "the store's lock file cannot be used: check its permissions", {
      cause: error,
    });
  }
}

class StepError extends Error {}

function runStep<T>(step: () => T): T {
  try {
    return step();
  } catch (cause) {
    throw new StepError("step failed", { cause });
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY;
}
