import { DatabaseSync } from "node:sqlite";
import { PpmlError } from "../../base/error.ts";
import { schemaFault } from "../checked-schema.ts";
import type { DatabaseSchema } from "../checked-schema.ts";

/** 64 MiB: bounds what a hostile file can make us read; some 15,000 KEK versions fit. */
export const MAX_FILE_BYTES = 64 * 1024 * 1024;

const PAGE_BYTES = 4096;
const BUSY_TIMEOUT_MS = 10_000;

/** `ppmv` in SQLite's header, and the vault's tables. */
export const SCHEMA: DatabaseSchema = {
  applicationId: 0x70706d76,
  version: 2,
  tables: [
    {
      name: "kek",
      sql: `CREATE TABLE kek (
  name TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  release_policy TEXT,
  purpose TEXT,
  state TEXT NOT NULL,
  created TEXT NOT NULL,
  current_version TEXT NOT NULL,
  mac BLOB NOT NULL
) STRICT, WITHOUT ROWID`,
    },
    {
      name: "kek_version",
      sql: `CREATE TABLE kek_version (
  name TEXT NOT NULL,
  number INTEGER NOT NULL,
  version TEXT NOT NULL,
  state TEXT NOT NULL,
  created TEXT NOT NULL,
  public_key BLOB NOT NULL,
  nonce BLOB,
  private_key BLOB,
  mac BLOB NOT NULL,
  PRIMARY KEY (name, number)
) STRICT, WITHOUT ROWID`,
    },
    {
      name: "vault",
      sql: `CREATE TABLE vault (
  id INTEGER NOT NULL PRIMARY KEY,
  vault_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  created TEXT NOT NULL,
  root_kind TEXT NOT NULL,
  scrypt_n INTEGER,
  scrypt_r INTEGER,
  scrypt_p INTEGER,
  scrypt_salt BLOB,
  salt BLOB NOT NULL,
  root_check BLOB NOT NULL,
  revision INTEGER NOT NULL,
  state_mac BLOB NOT NULL
) STRICT`,
    },
  ],
};

/**
 * Opens the SQLite file with the settings that crash-safety, deletion and hostile files ask for.
 * @throws key.vault_invalid key.vault_io
 */
export function openDatabase(path: string): DatabaseSync {
  return mapped(path, () => {
    const db = new DatabaseSync(path);
    try {
      // The defaults differ between Node 22 and 24, so everything that matters is said here.
      db.exec(`
        PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS};
        PRAGMA trusted_schema = OFF;
        PRAGMA cell_size_check = ON;
        PRAGMA mmap_size = 0;
        PRAGMA temp_store = MEMORY;
        PRAGMA secure_delete = ON;
        PRAGMA synchronous = EXTRA;
        PRAGMA max_page_count = ${MAX_FILE_BYTES / PAGE_BYTES};
      `);
      // Why not WAL: see docs/vault.md section "Crash-safety".
      const mode = db.prepare("PRAGMA journal_mode = DELETE").get();
      if (mode?.["journal_mode"] !== "delete")
        throw invalid(path, "its journal mode is not DELETE");
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

/**
 * Runs `work` inside one transaction: all of it is durable when this returns, or none happened.
 * `write` takes the file's lock at once, so that what was read still holds when it is written.
 * @throws key.vault_invalid key.vault_io and what `work` throws
 */
export function inTransaction<T>(
  options: { readonly db: DatabaseSync; readonly path: string; readonly write: boolean },
  work: () => T,
): T {
  const { db, path, write } = options;
  return mapped(path, () => {
    db.exec(write ? "BEGIN IMMEDIATE" : "BEGIN");
    try {
      const fault = schemaFault(db, SCHEMA);
      if (fault !== null) throw invalid(path, fault);
      const result = work();
      db.exec("COMMIT");
      return result;
    } catch (error) {
      if (db.isTransaction) db.exec("ROLLBACK");
      throw error;
    }
  });
}

/** The error for a file that is not as this program writes it. */
export function invalid(path: string, what: string, cause?: unknown): PpmlError {
  return new PpmlError(
    "key.vault_invalid",
    `${path} is not a ppml vault, or was changed by something else: ${what}. Restore it from a backup`,
    { detail: { path }, cause },
  );
}

function mapped<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof PpmlError || !(error instanceof Error) || !("code" in error)) throw error;
    if (error.code === "ERR_OUT_OF_RANGE") throw invalid(path, "a number is out of range", error);
    if (error.code !== "ERR_SQLITE_ERROR") throw error;
    const result = "errcode" in error && typeof error.errcode === "number" ? error.errcode : 0;
    const known = SQLITE_RESULTS.get(result & 0xff);
    if (known === undefined) throw invalid(path, error.message, error);
    const message = `${path}: ${known} (SQLite: ${error.message})`;
    throw new PpmlError("key.vault_io", message, { detail: { path }, cause: error });
  }
}

/** Primary result codes that speak of the machine, not of the file. @see https://sqlite.org/rescode.html */
const SQLITE_RESULTS: ReadonlyMap<number, string> = new Map([
  [3, "access to the vault's file is not permitted"],
  [5, `another process held the vault for ${BUSY_TIMEOUT_MS / 1000} s: try again`],
  [6, "the vault is locked: try again"],
  [7, "out of memory"],
  [8, "the vault's file or folder cannot be written"],
  [10, "the vault's file could not be read or written"],
  [13, `the disk, or the vault (${MAX_FILE_BYTES / 1024 / 1024} MiB at most), is full`],
  [14, "the vault's file cannot be opened"],
]);
