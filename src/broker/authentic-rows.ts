import type { DatabaseSync } from "node:sqlite";
import { equalBytes, isPpmlError, PpmlError } from "../base/index.ts";
import { createSchema, dataVersionOf, schemaFault } from "../key/checked-schema.ts";
import { EMPTY_LOG, nextMark, RowSet, rowMacOf } from "./state-mac.ts";
import type { LogMark, StateKeys, Value } from "./state-mac.ts";
import { stateError } from "./state-error.ts";
import { COLUMNS, SCHEMA, TABLE_NAMES } from "./tables.ts";
import type { TableName } from "./tables.ts";

/** A verified row's values, in the order of its table's columns. */
export type Row = readonly Value[];

type Verified = {
  readonly dataVersion: number;
  readonly revision: number;
  readonly log: LogMark;
  readonly rows: RowSet;
};
/** What a transaction did so far, and how memory was before it. */
type Change = { readonly before: Verified; readonly undo: Undo[]; log: LogMark };
type Undo = { readonly table: TableName; readonly key: Value; readonly mac: Uint8Array | null };

/**
 * The rows of broker.db, each under a MAC, with one MAC over all of them and the log. Everything is
 * verified when it is first used and again when another connection committed; after that each row is
 * compared as it is read, against what memory knows: an edited, added, removed, swapped or
 * put-back row is refused, whichever way it came into the file.
 */
export class AuthenticRows {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #keys: StateKeys;
  #verified: Verified | null = null;
  #change: Change | null = null;

  constructor(db: DatabaseSync, options: { readonly path: string; readonly keys: StateKeys }) {
    this.#db = db;
    this.#path = options.path;
    this.#keys = options.keys;
  }

  /** Makes tables and state in an empty file, with the rows that `fill` puts, in one transaction. */
  create(salt: Uint8Array, fill: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    createSchema(this.#db, SCHEMA);
    const rows = new RowSet(this.#keys);
    const { chain } = EMPTY_LOG;
    const mac = rows.stateMac(0, EMPTY_LOG);
    this.#db.prepare("INSERT INTO state VALUES (1, ?, 0, 0, ?, ?)").run(salt, chain, mac);
    const before = { dataVersion: dataVersionOf(this.#db), revision: 0, log: EMPTY_LOG, rows };
    this.#verified = before;
    this.#change = { before, undo: [], log: EMPTY_LOG };
    fill();
    this.#seal();
    this.#db.exec("COMMIT");
    this.#change = null;
  }

  /** Runs `work` over one verified snapshot. @throws broker.state */
  read<T>(work: () => T): T {
    if (this.#db.isTransaction) return work();
    return this.#inTransaction("BEGIN", work);
  }

  /**
   * Runs `work` in one transaction that holds the write lock: durable when it returns, or undone, in
   * memory too.
   * @throws broker.state
   */
  write<T>(work: () => T): T {
    return this.#inTransaction("BEGIN IMMEDIATE", () => {
      const before = this.#state();
      this.#change = { before, undo: [], log: before.log };
      const result = work();
      this.#seal();
      return result;
    });
  }

  /** The row of a key; null where there is none. @throws broker.state */
  get(table: TableName, key: Value): Row | null {
    return this.read(() => {
      const known = this.#state().rows.macOf(table, key);
      const columns = COLUMNS[table];
      const found = this.#db.prepare(`SELECT * FROM ${table} WHERE ${columns[0]} = ?`).get(key);
      if (found === undefined && known === null) return null;
      const { row, mac } = this.#checked(table, found ?? {});
      if (known === null || !equalBytes(known, mac)) throw this.#changed(table);
      return row;
    });
  }

  /** Adds a row, or replaces the one of its key. Call it inside `write`. */
  put(table: TableName, row: Row): void {
    const { rows } = this.#state();
    const { undo } = this.#changing();
    const [key = null] = row;
    const mac = rowMacOf(this.#keys, table, row);
    const places = ", ?".repeat(row.length);
    this.#db
      .prepare(`INSERT OR REPLACE INTO ${table} VALUES (${places.slice(2)}, ?)`)
      .run(...row, mac);
    undo.push({ table, key, mac: rows.set(table, key, mac) });
  }

  /** Removes a row; false where there is none. Call it inside `write`. @throws broker.state */
  remove(table: TableName, key: Value): boolean {
    const { rows } = this.#state();
    const { undo } = this.#changing();
    if (rows.macOf(table, key) === null) return false;
    const { changes } = this.#db
      .prepare(`DELETE FROM ${table} WHERE ${COLUMNS[table][0]} = ?`)
      .run(key);
    if (Number(changes) !== 1) throw this.#changed(table);
    undo.push({ table, key, mac: rows.set(table, key, null) });
    return true;
  }

  /** How many rows a table has. @throws broker.state */
  count(table: TableName): number {
    return this.read(() => this.#state().rows.count(table));
  }

  /** The log's size and chain. @throws broker.state */
  log(): LogMark {
    return this.read(() => this.#change?.log ?? this.#state().log);
  }

  /** Notes one more leaf. Call it inside `write`, with the leaf's own row. */
  addLeaf(leafHash: Uint8Array): void {
    const change = this.#changing();
    change.log = nextMark(change.log, leafHash);
  }

  #inTransaction<T>(begin: string, work: () => T): T {
    try {
      this.#db.exec(begin);
      this.#refresh();
      const result = work();
      this.#db.exec("COMMIT");
      this.#change = null;
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      this.#undo();
      throw isPpmlError(error) || !isDatabaseError(error)
        ? error
        : stateError(this.#path, `it could not be read or written (${error.message})`, {
            cause: error,
          });
    }
  }

  #undo(): void {
    if (this.#change === null) return;
    const { before, undo } = this.#change;
    for (const { table, key, mac } of undo.toReversed()) before.rows.set(table, key, mac);
    this.#verified = before;
    this.#change = null;
  }

  #seal(): void {
    const { rows, revision: last, dataVersion } = this.#state();
    const { before, undo, log } = this.#changing();
    if (undo.length === 0 && log.size === before.log.size) return;
    const revision = last + 1;
    const mac = rows.stateMac(revision, log);
    this.#db
      .prepare("UPDATE state SET revision = ?, log_size = ?, log_chain = ?, mac = ? WHERE id = 1")
      .run(revision, log.size, log.chain, mac);
    this.#verified = { dataVersion, revision, log, rows };
  }

  #refresh(): void {
    const dataVersion = dataVersionOf(this.#db);
    const before = this.#verified;
    if (before?.dataVersion === dataVersion) return;
    const loaded = this.#load(dataVersion);
    if (before !== null && loaded.revision < before.revision)
      throw stateError(this.#path, "an older copy was put in its place while it was in use");
    this.#verified = loaded;
  }

  #load(dataVersion: number): Verified {
    const fault = schemaFault(this.#db, SCHEMA);
    if (fault !== null) throw stateError(this.#path, fault);
    const rows = new RowSet(this.#keys);
    for (const table of TABLE_NAMES)
      for (const raw of this.#db.prepare(`SELECT * FROM ${table}`).iterate()) {
        const { row, mac } = this.#checked(table, raw);
        rows.set(table, row[0] ?? null, mac);
      }
    let log = EMPTY_LOG;
    const leaves = this.#db.prepare("SELECT log_index, hash FROM leaves ORDER BY log_index");
    for (const { log_index: index, hash } of leaves.iterate()) {
      if (index !== log.size || !(hash instanceof Uint8Array)) throw this.#changed("leaves");
      log = nextMark(log, hash);
    }
    const found = this.#db.prepare("SELECT * FROM state LIMIT 2").all();
    const [{ revision, log_size: size, log_chain: chain, mac } = {}] = found;
    const isRight =
      found.length === 1 &&
      typeof revision === "number" &&
      size === log.size &&
      chain instanceof Uint8Array &&
      equalBytes(chain, log.chain) &&
      mac instanceof Uint8Array &&
      rows.matches(mac, revision, log);
    if (!isRight)
      throw stateError(
        this.#path,
        "rows or log entries were added, removed or put back, or it was made under another vault's root key",
      );
    return { dataVersion, revision, log, rows };
  }

  #checked(
    table: TableName,
    raw: Readonly<Record<string, unknown>>,
  ): { readonly row: Row; readonly mac: Uint8Array } {
    const row = COLUMNS[table].map((column) => raw[column]);
    const { mac } = raw;
    if (!row.every((value) => isValue(value)) || !(mac instanceof Uint8Array))
      throw this.#changed(table);
    if (!equalBytes(mac, rowMacOf(this.#keys, table, row))) throw this.#changed(table);
    return { row, mac };
  }

  #state(): Verified {
    if (this.#verified === null) throw new PpmlError("base.internal", "read outside a transaction");
    return this.#verified;
  }

  #changing(): Change {
    if (this.#change === null) throw new PpmlError("base.internal", "write outside a transaction");
    return this.#change;
  }

  #changed(table: string): PpmlError {
    return stateError(
      this.#path,
      `a row of table ${table} was changed, added, removed or put back`,
    );
  }
}

function isDatabaseError(error: unknown): error is Error {
  if (!(error instanceof Error) || !("code" in error)) return false;
  return error.code === "ERR_SQLITE_ERROR" || error.code === "ERR_OUT_OF_RANGE";
}

function isValue(value: unknown): value is Value {
  return value === null || typeof value === "string" || Number.isSafeInteger(value);
}
