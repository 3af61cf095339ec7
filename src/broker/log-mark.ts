import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { equalBytes, fromHex, isPpmlError, PpmlError, toHex, utf8 } from "../base/index.ts";
import { sha256HexSchema } from "../format/schema.ts";
import { macOf } from "../key/row-mac.ts";
import { stateError } from "./state-error.ts";
import { parseStored } from "./database.ts";
import type { BrokerDatabase } from "./database.ts";
import type { LogMark } from "./state-mac.ts";

const MAX_MARK_BYTES = 4096;
const GO_ON =
  "put the latest copy back. Where you restored a backup on purpose: `ppml audit accept --yes`, which says how many entries were lost";

const storedMarkSchema = z.strictObject({
  v: z.literal(1),
  size: z.int().min(0),
  /** The log's hash chain at that size. */
  chain: sha256HexSchema,
  /** HMAC-SHA256 under the database's own key. */
  mac: sha256HexSchema,
});

/** Where the mark of a broker's log lies: beside the state's folder, not in it. */
export function logMarkPath(stateDir: string): string {
  const dir = resolve(stateDir);
  return join(dirname(dir), `${basename(dir)}.mark`);
}

/**
 * Refuses a database whose log is not, or does not begin with, the one that was marked last: an older
 * copy of it is authentic in itself.
 * @throws broker.state where entries are missing or are others, or the mark is missing or was changed
 * @see docs/architecture.md "Files of a project"
 */
export function checkLogMark(db: BrokerDatabase, path: string): void {
  const marked = loadLogMark(db, path);
  const { size } = db.logMark;
  if (size < marked.size)
    throw stateError(
      db.path,
      `its log has ${size} entries, but had ${marked.size}: an older copy was put in its place, so policies that were replaced, floors that were lower and nonces that were spent would hold again`,
      { remedy: GO_ON },
    );
  if (!equalBytes(db.logMarkAt(marked.size).chain, marked.chain))
    throw stateError(
      db.path,
      `its log is another one than the mark ${path} knows, from before entry ${marked.size}`,
      { remedy: GO_ON },
    );
}

/** The size that the mark says; null where it is missing, unreadable or not this database's. */
export function markedSize(db: BrokerDatabase, path: string): number | null {
  try {
    return loadLogMark(db, path).size;
  } catch (error) {
    if (isPpmlError(error, "broker.state")) return null;
    throw error;
  }
}

/** Writes the mark of the log as it is now, whole or not at all. @throws broker.state */
export function saveLogMark(db: BrokerDatabase, path: string): void {
  const mark = db.logMark;
  const stored = {
    v: 1,
    size: mark.size,
    chain: toHex(mark.chain),
    mac: toHex(markMac(db, mark)),
  };
  const temporary = `${path}.${toHex(randomBytes(8))}.tmp`;
  try {
    const file = openSync(temporary, "wx", 0o600);
    try {
      writeSync(file, utf8(`${JSON.stringify(stored)}\n`));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    // The folder is not synced: after a power cut an older mark is one that the log still begins with.
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw stateError(path, "the mark of the broker's log cannot be written", { cause });
  }
}

function loadLogMark(db: BrokerDatabase, path: string): LogMark {
  let text: string;
  try {
    if (statSync(path).size > MAX_MARK_BYTES)
      throw stateError(path, "it is too long for a mark of the broker's log", { remedy: GO_ON });
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if (cause instanceof PpmlError) throw cause;
    throw stateError(path, "the mark of the broker's log is missing or unreadable", {
      cause,
      remedy: GO_ON,
    });
  }
  const stored = parseMark(text, path);
  const mark = { size: stored.size, chain: fromHex(stored.chain) };
  if (!equalBytes(fromHex(stored.mac), markMac(db, mark)))
    throw stateError(path, "it is not the mark of this broker's log, or was changed", {
      remedy: GO_ON,
    });
  return mark;
}

function parseMark(text: string, path: string): z.infer<typeof storedMarkSchema> {
  try {
    return parseStored(storedMarkSchema, text, path);
  } catch (cause) {
    throw stateError(path, "it is no mark of a broker's log", { cause, remedy: GO_ON });
  }
}

function markMac(db: BrokerDatabase, { size, chain }: LogMark): Uint8Array {
  return macOf(db.macKey, "ppml broker mark v1", size, chain);
}
