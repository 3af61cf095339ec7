import { randomBytes } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { closeSync, openSync, unlinkSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
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
import { schemaFault } from "../key/checked-schema.ts";
import type { RootKey } from "../key/root-key.ts";
import { AuthenticRows } from "./authentic-rows.ts";
import type { Row } from "./authentic-rows.ts";
import { isOfPlace, stateError } from "./state-error.ts";
import { EMPTY_LOG, nextMark, stateKeysOf } from "./state-mac.ts";
import type { LogMark, StateKeys, Value } from "./state-mac.ts";
import { COLUMNS, SCHEMA } from "./tables.ts";
import type { TableName } from "./tables.ts";

const BUSY_TIMEOUT_MS = 10_000;
const SALT_BYTES = 32;

/** What a broker is, fixed when it is made. */
const identitySchema = z.strictObject({
  v: z.literal(1),
  mode: modeSchema,
  /** Whose signature puts policies in force and raises manifest floors. */
  owner: ecPublicJwkSchema,
  releaseRoot: ecPublicJwkSchema,
  logKey: ecPublicJwkSchema,
  /** Signs the EAR tokens of attested guests. */
  earKey: ecPublicJwkSchema,
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

/**
 * broker.db: nonces, policies, manifest floors, releases and the log. It owns the SQLite connection
 * and the keys that authenticate what is in it.
 */
export class BrokerDatabase implements Disposable {
  readonly path: string;
  readonly identity: BrokerIdentity;
  readonly #db: DatabaseSync;
  readonly #rows: AuthenticRows;
  /** The key of the MACs that are stored, for what belongs to the database and lies outside it. */
  readonly macKey: KeyObject;
  #onLogged: (() => void) | null = null;

  private constructor(path: string, open: Opened) {
    this.path = path;
    this.macKey = open.keys.rows;
    this.#db = open.db;
    this.#rows = open.rows;
    this.identity = identityOf(open.rows, path);
  }

  /**
   * Makes a new file of mode 0600. What a crash leaves behind is refused by `open`.
   * @throws broker.state where it exists or cannot be written
   */
  static create(
    path: string,
    fixed: {
      readonly identity: BrokerIdentity;
      readonly releaseKey: StoredReleaseKey;
      readonly root: RootKey;
    },
  ): BrokerDatabase {
    try {
      // SQLite gives its journals the rights of this file.
      closeSync(openSync(path, "wx", 0o600));
    } catch (cause) {
      throw stateError(path, "it exists already, or its folder cannot be written", { cause });
    }
    const db = connect(path);
    const salt = Uint8Array.from(randomBytes(SALT_BYTES));
    const keys = stateKeysOf(fixed.root, salt);
    try {
      const rows = new AuthenticRows(db, { path, keys });
      rows.create(salt, () => {
        rows.put("identity", [1, JSON.stringify(fixed.identity)]);
        rows.put("release_key", [1, JSON.stringify(fixed.releaseKey)]);
      });
      return new BrokerDatabase(path, { db, rows, keys });
    } catch (cause) {
      db.close();
      unlinkSync(path);
      throw stateError(path, "it could not be made", { cause });
    }
  }

  /**
   * Opens an existing file and verifies all that is in it.
   * @throws broker.state where it was changed from outside, or is another root key's
   */
  static open(path: string, root: RootKey): BrokerDatabase {
    try {
      closeSync(openSync(path, "r+"));
    } catch (cause) {
      const isMissing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
      throw stateError(
        path,
        isMissing
          ? "it is missing"
          : `it cannot be opened for writing (${cause instanceof Error ? cause.message : "unknown"})`,
        { cause },
      );
    }
    const db = connect(path);
    try {
      const keys = stateKeysOf(root, readSalt(db, path));
      return new BrokerDatabase(path, { db, rows: new AuthenticRows(db, { path, keys }), keys });
    } catch (error) {
      db.close();
      throw error;
    }
  }

  get releaseKey(): StoredReleaseKey {
    return parseStored(storedReleaseKeySchema, this.row("release_key", 1)?.[1], this.path);
  }

  set releaseKey(value: StoredReleaseKey) {
    this.transaction(() => {
      this.put("release_key", [1, JSON.stringify(value)]);
    });
  }

  /** The verified row of a key, or null. @throws broker.state */
  row(table: TableName, key: Value): Row | null {
    return this.#rows.get(table, key);
  }

  /** Adds a row or replaces the one of its key. Call it inside a transaction. */
  put(table: TableName, row: Row): void {
    this.#rows.put(table, row);
  }

  /** Removes a row; false where there is none. Call it inside a transaction. */
  remove(table: TableName, key: Value): boolean {
    return this.#rows.remove(table, key);
  }

  /** How many rows a table has. */
  count(table: TableName): number {
    return this.#rows.count(table);
  }

  /** Nonces that ended at `nowMs` or before. */
  noncesUntil(nowMs: number): string[] {
    return this.#db
      .prepare("SELECT nonce FROM nonces WHERE expires_ms <= ?")
      .all(nowMs)
      .map((row) => String(row["nonce"]));
  }

  /** The keys of a table's rows, in their order; `row` verifies each. */
  keysOf(table: "policies" | "resources"): string[] {
    const [key] = COLUMNS[table];
    return this.#db
      .prepare(`SELECT ${key} FROM ${table} ORDER BY ${key}`)
      .all()
      .map((row) => String(row[key]));
  }

  /** The log's size and hash chain, as the state's MAC covers them. @throws broker.state */
  get logMark(): LogMark {
    return this.#rows.log();
  }

  /** Appends a leaf and gives its index. Call it inside a transaction. */
  appendLeaf(envelope: string, hash: Uint8Array): number {
    const { size } = this.#rows.log();
    this.#db.prepare("INSERT INTO leaves VALUES (?, ?, ?)").run(size, envelope, hash);
    this.#rows.addLeaf(hash);
    return size;
  }

  /** Envelopes of the log from an index on, as they are stored: whoever reads them compares hashes. */
  *leavesFrom(index: number): Generator<string, void, undefined> {
    const leaves = this.#db.prepare("SELECT envelope FROM leaves WHERE log_index = ?");
    for (let at = index; ; at += 1) {
      const row = leaves.get(at);
      if (row === undefined) return;
      yield String(row["envelope"]);
    }
  }

  /** Runs `work` over one verified snapshot. @throws broker.state */
  read<T>(work: () => T): T {
    return this.#rows.read(work);
  }

  /**
   * Runs `work` in one transaction that holds the write lock: durable when it returns, or undone. Where
   * it appended to the log, `onLogged` is called then.
   */
  transaction<T>(work: () => T): T {
    let appended = false;
    const result = this.#rows.write(() => {
      const { size } = this.#rows.log();
      const done = work();
      appended = this.#rows.log().size > size;
      return done;
    });
    if (appended) this.#onLogged?.();
    return result;
  }

  /** Names what is done after each transaction that appended to the log, before its caller goes on. */
  set onLogged(done: () => void) {
    this.#onLogged = done;
  }

  /** The mark of the log's first `size` entries. @throws broker.state */
  logMarkAt(size: number): LogMark {
    return this.read(() => {
      // Verifies the database first, where it is not yet.
      this.#rows.log();
      let mark = EMPTY_LOG;
      const leaves = this.#db.prepare(
        "SELECT hash FROM leaves WHERE log_index < ? ORDER BY log_index",
      );
      for (const { hash } of leaves.iterate(size))
        if (hash instanceof Uint8Array) mark = nextMark(mark, hash);
      return mark;
    });
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close();
  }
}

type Opened = {
  readonly db: DatabaseSync;
  readonly rows: AuthenticRows;
  readonly keys: StateKeys;
};

/** Parses JSON of a column. @throws broker.state */
export function parseStored<T>(schema: z.ZodType<T>, json: unknown, path: string): T {
  try {
    return parseWith(schema, JSON.parse(String(json)), { what: "a row" });
  } catch (cause) {
    const what = cause instanceof PpmlError ? cause.message : "a row is not JSON";
    throw stateError(path, what, { cause });
  }
}

function connect(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    // FULL: with WAL, a commit is on the disk when it returns; NORMAL would lose acknowledged ones.
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA trusted_schema = OFF;
      PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;
      PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL;`);
    return db;
  } catch (cause) {
    db.close();
    const why = isOfPlace(cause) && cause instanceof Error ? cause.message : null;
    const what = why === null ? "it is not a SQLite database" : `it cannot be used (${why})`;
    throw stateError(path, what, { cause });
  }
}

/** Before anything is verified: without the salt there are no keys to verify with. */
function readSalt(db: DatabaseSync, path: string): Uint8Array {
  try {
    const fault = schemaFault(db, SCHEMA);
    if (fault !== null) throw stateError(path, `it is not a broker's database: ${fault}`);
    const salt = db.prepare("SELECT salt FROM state WHERE id = 1").get()?.["salt"];
    if (salt instanceof Uint8Array && salt.byteLength === SALT_BYTES) return salt;
  } catch (cause) {
    throw cause instanceof PpmlError ? cause : stateError(path, "it cannot be read", { cause });
  }
  throw stateError(path, "its state has no salt");
}

function identityOf(rows: AuthenticRows, path: string): BrokerIdentity {
  const identity = parseStored(identitySchema, rows.get("identity", 1)?.[1], path);
  if ((identity.simulationRoot === null) !== (identity.mode === "production"))
    throw stateError(path, "a simulation root belongs to simulation mode, and only to it");
  return identity;
}
