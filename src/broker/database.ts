import { closeSync, openSync, unlinkSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue } from "node:sqlite";
import { z } from "zod";
import { PpmlError } from "../base/index.ts";
import { modeSchema } from "../format/kek.ts";
import {
  base64UrlSchema,
  ecPublicJwkSchema,
  parseWith,
  timestampSchema,
} from "../format/schema.ts";
import { envelopeSchema } from "../format/signed-object.ts";

/** `ppmb`: marks the file in SQLite's header. */
const APPLICATION_ID = 0x70706d62;
const SCHEMA_VERSION = 1;
const BUSY_TIMEOUT_MS = 10_000;

const TABLES = `
CREATE TABLE identity (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;
CREATE TABLE release_key (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;
CREATE TABLE nonces (nonce TEXT NOT NULL PRIMARY KEY, expires_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE policies (
  name TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, digest TEXT NOT NULL, envelope TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE floors (
  dataset_id TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, manifest_digest TEXT NOT NULL,
  signers TEXT NOT NULL, delegated_by TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE releases (
  log_index INTEGER NOT NULL PRIMARY KEY, signing_key TEXT NOT NULL UNIQUE, json TEXT NOT NULL,
  receipt_index INTEGER, receipt_digest TEXT
) STRICT;
CREATE TABLE leaves (
  log_index INTEGER NOT NULL PRIMARY KEY, envelope TEXT NOT NULL, hash BLOB NOT NULL
) STRICT;
`;

/** What a broker is, fixed when it is made. */
const identitySchema = z.strictObject({
  v: z.literal(1),
  mode: modeSchema,
  /** Whose signature puts policies in force and raises manifest floors. */
  owner: ecPublicJwkSchema,
  releaseRoot: ecPublicJwkSchema,
  logKey: ecPublicJwkSchema,
  /** DER of the simulation's root certificate; null in production. */
  simulationRoot: base64UrlSchema.max(8192).nullable(),
  created: timestampSchema,
});
export type BrokerIdentity = z.infer<typeof identitySchema>;

const storedReleaseKeySchema = z.strictObject({
  file: z.string().regex(/^release-[0-9a-f]{16}\.key$/),
  certificate: envelopeSchema,
});
/** The release key in use: its file beside broker.db, and its certificate. */
export type StoredReleaseKey = z.infer<typeof storedReleaseKeySchema>;

/** broker.db: nonces, policies, manifest floors and the log. It owns the SQLite connection. */
export class BrokerDatabase implements Disposable {
  readonly path: string;
  readonly identity: BrokerIdentity;
  readonly #db: DatabaseSync;

  private constructor(path: string, db: DatabaseSync) {
    this.path = path;
    this.#db = db;
    this.identity = readIdentity(db, path);
  }

  /**
   * Makes a new file of mode 0600. What a crash leaves behind is refused by `open`.
   * @throws broker.state where it exists or cannot be written
   */
  static create(
    path: string,
    fixed: { readonly identity: BrokerIdentity; readonly releaseKey: StoredReleaseKey },
  ): BrokerDatabase {
    try {
      // SQLite gives its journals the rights of this file.
      closeSync(openSync(path, "wx", 0o600));
    } catch (cause) {
      throw stateError(path, "it exists already, or its folder cannot be written", cause);
    }
    const db = connect(path);
    try {
      db.exec(`BEGIN IMMEDIATE; PRAGMA application_id = ${APPLICATION_ID};
        PRAGMA user_version = ${SCHEMA_VERSION}; ${TABLES}`);
      db.prepare("INSERT INTO identity VALUES (1, ?)").run(JSON.stringify(fixed.identity));
      db.prepare("INSERT INTO release_key VALUES (1, ?)").run(JSON.stringify(fixed.releaseKey));
      db.exec("COMMIT");
      return new BrokerDatabase(path, db);
    } catch (cause) {
      db.close();
      unlinkSync(path);
      throw stateError(path, "it could not be made", cause);
    }
  }

  /** Opens an existing file. @throws broker.state */
  static open(path: string): BrokerDatabase {
    try {
      closeSync(openSync(path, "r+"));
    } catch (cause) {
      throw stateError(path, "it is missing or cannot be read: make it with `ppml init`", cause);
    }
    const db = connect(path);
    try {
      requireSchema(db, path);
      return new BrokerDatabase(path, db);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  get releaseKey(): StoredReleaseKey {
    const row = this.#db.prepare("SELECT json FROM release_key WHERE id = 1").get();
    return parseStored(storedReleaseKeySchema, row?.["json"], this.path);
  }

  set releaseKey(value: StoredReleaseKey) {
    this.run("UPDATE release_key SET json = ? WHERE id = 1", JSON.stringify(value));
  }

  /** Runs a statement; gives the number of rows that it changed. */
  run(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#db.prepare(sql).run(...values).changes);
  }

  /** The first row, or null. */
  get(sql: string, ...values: readonly SQLInputValue[]): Readonly<Record<string, unknown>> | null {
    return this.#db.prepare(sql).get(...values) ?? null;
  }

  /** All rows. */
  all(
    sql: string,
    ...values: readonly SQLInputValue[]
  ): readonly Readonly<Record<string, unknown>>[] {
    return this.#db.prepare(sql).all(...values);
  }

  /** Runs `work` in one transaction that holds the write lock: durable when it returns, or undone. */
  transaction<T>(work: () => T): T {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close();
  }
}

/** Parses JSON of a column. @throws broker.state */
export function parseStored<T>(schema: z.ZodType<T>, json: unknown, path: string): T {
  try {
    return parseWith(schema, JSON.parse(String(json)), { what: path, code: "broker.state" });
  } catch (cause) {
    throw cause instanceof PpmlError ? cause : stateError(path, "a row is not JSON", cause);
  }
}

function connect(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    // FULL: with WAL, a commit is on the disk when it returns; NORMAL would lose acknowledged ones.
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA trusted_schema = OFF;
      PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL;`);
    return db;
  } catch (cause) {
    db.close();
    throw stateError(path, "it is not a SQLite database", cause);
  }
}

function requireSchema(db: DatabaseSync, path: string): void {
  const id = db.prepare("PRAGMA application_id").get()?.["application_id"];
  const version = db.prepare("PRAGMA user_version").get()?.["user_version"];
  if (id !== APPLICATION_ID) throw stateError(path, "it is not a broker's database");
  if (version !== SCHEMA_VERSION)
    throw stateError(path, `its version is ${String(version)}, known is ${SCHEMA_VERSION}`);
}

function readIdentity(db: DatabaseSync, path: string): BrokerIdentity {
  const row = db.prepare("SELECT json FROM identity WHERE id = 1").get();
  const identity = parseStored(identitySchema, row?.["json"], path);
  if ((identity.simulationRoot === null) !== (identity.mode === "production"))
    throw stateError(path, "a simulation root belongs to simulation mode, and only to it");
  return identity;
}

function stateError(path: string, what: string, cause?: unknown): PpmlError {
  return new PpmlError("broker.state", `${path}: ${what}`, { detail: { path }, cause });
}
