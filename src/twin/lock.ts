import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { PpmlError } from "../base/index.ts";

/** `findRunning` of others holds the file for a moment. */
const LOCK_WAIT_MS = 500;

const runningSchema = z.strictObject({
  pid: z.int(),
  proxyPort: z.int(),
  tlsPort: z.int(),
  identityHeader: z.string(),
});

/** A twin that runs: what others need to use it. */
export type RunningTwin = z.infer<typeof runningSchema>;

/** That this process alone has the folder, until it is given back or the process ends. */
export type FolderLock = Disposable & {
  /** The ports of the last twin of this folder: taken again, so that programs find it. */
  readonly last: RunningTwin | null;
  /** Writes who runs here, for `exec` and `status`. */
  readonly announce: (running: RunningTwin) => void;
};

/**
 * Takes a twin's folder, which must exist. The lock is the operating system's on a file, so a kill
 * gives it back. @throws twin.held where another process has it
 */
export function lockFolder(folder: string): FolderLock {
  const path = join(folder, "lock.db");
  const file = join(folder, "running.json");
  closeSync(openSync(path, "a", 0o600));
  const db = new DatabaseSync(path);
  const last = readRunning(file);
  try {
    db.exec(`PRAGMA busy_timeout = ${LOCK_WAIT_MS}; BEGIN EXCLUSIVE`);
  } catch (cause) {
    db.close();
    const holder = last === null ? "another process" : `process ${last.pid}`;
    throw new PpmlError(
      "twin.held",
      `a twin runs in ${folder} already (${holder}): use it with \`ppml twin exec\`, stop it, or name another folder`,
      { cause, detail: { pid: last?.pid ?? null } },
    );
  }
  return {
    last,
    announce: (running) => {
      const made = `${file}.${process.pid}`;
      writeFileSync(made, JSON.stringify(running), { mode: 0o600 });
      renameSync(made, file);
    },
    [Symbol.dispose]: () => db.close(),
  };
}

/** The twin that runs in a folder, or null where none does. */
export function findRunning(folder: string): RunningTwin | null {
  const path = join(folder, "lock.db");
  if (!existsSync(path)) return null;
  using db = new DatabaseSync(path);
  try {
    // Reading is refused while the holder has its lock, and disturbs nobody who takes it.
    db.exec("PRAGMA busy_timeout = 0; SELECT count(*) FROM sqlite_schema");
    return null;
  } catch {
    return readRunning(join(folder, "running.json"));
  }
}

function readRunning(file: string): RunningTwin | null {
  try {
    return runningSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return null;
  }
}
