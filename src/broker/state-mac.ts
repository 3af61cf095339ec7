import { createSecretKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { equalBytes, sha256 } from "../base/index.ts";
import { encodeFields } from "../key/fields.ts";
import type { RootKey } from "../key/root-key.ts";
import { macOf } from "../key/row-mac.ts";
import { TABLE_NAMES } from "./tables.ts";
import type { TableName } from "./tables.ts";

/** A stored value of an authenticated row. */
export type Value = string | number | null;

/** The log as the state's MAC covers it: its size, and a hash chain over its leaves. */
export type LogMark = { readonly size: number; readonly chain: Uint8Array };

/** A log without entries. */
export const EMPTY_LOG: LogMark = { size: 0, chain: new Uint8Array(32) };

/** The mark of a log after one more leaf. */
export function nextMark({ size, chain }: LogMark, leafHash: Uint8Array): LogMark {
  return { size: size + 1, chain: sha256(chain, leafHash) };
}

/** The keys that authenticate one broker's database: non-extractable, 32 bytes each. */
export type StateKeys = {
  /** MACs that are stored. */
  readonly rows: KeyObject;
  /** What a row adds to the sum over all rows; it is never stored. */
  readonly sum: KeyObject;
};

/** Derives a database's keys from the vault's root key and the database's own salt (32 bytes). */
export function stateKeysOf(root: RootKey, salt: Uint8Array): StateKeys {
  const derive = (purpose: string): KeyObject => {
    using key = root.derive({ salt, info: encodeFields("ppml broker v1", purpose) });
    return key.expose((bytes) => createSecretKey(bytes));
  };
  return { rows: derive("rows"), sum: derive("sum") };
}

/** The MAC that is stored with a row. */
export function rowMacOf(keys: StateKeys, table: TableName, values: readonly Value[]): Uint8Array {
  return macOf(keys.rows, "ppml broker row v1", table, ...values);
}

/**
 * Which rows there are, by table and key, with their MACs; their number and sum. A change of one row
 * costs the same however many there are. The sum is over secret values, XOR by XOR: over the stored
 * MACs themselves, whoever saw some hundred old rows could put together others of the same sum.
 */
export class RowSet {
  readonly #keys: StateKeys;
  readonly #macs = new Map<TableName, Map<Value, Uint8Array>>(
    TABLE_NAMES.map((table) => [table, new Map()]),
  );
  readonly #sum = new Uint8Array(32);

  constructor(keys: StateKeys) {
    this.#keys = keys;
  }

  /** The MAC of the row of that key; null where there is none. */
  macOf(table: TableName, key: Value): Uint8Array | null {
    return this.#of(table).get(key) ?? null;
  }

  /** How many rows a table has. */
  count(table: TableName): number {
    return this.#of(table).size;
  }

  /** Sets the MAC of a row, or takes the row out; gives what it was before. */
  set(table: TableName, key: Value, mac: Uint8Array | null): Uint8Array | null {
    const rows = this.#of(table);
    const before = rows.get(key) ?? null;
    if (before !== null) this.#add(before);
    if (mac !== null) this.#add(mac);
    if (mac === null) rows.delete(key);
    else rows.set(key, mac);
    return before;
  }

  /** The MAC over everything: how many rows, their sum, the log and the number of changes so far. */
  stateMac(revision: number, log: LogMark): Uint8Array {
    const counts = TABLE_NAMES.map((table) => this.count(table));
    const { size, chain } = log;
    const { rows } = this.#keys;
    return macOf(rows, "ppml broker state v1", revision, size, chain, ...counts, this.#sum);
  }

  /** Compares in constant time. */
  matches(mac: Uint8Array, revision: number, log: LogMark): boolean {
    return equalBytes(mac, this.stateMac(revision, log));
  }

  // XOR: adding what is there already takes it out.
  #add(mac: Uint8Array): void {
    const term = macOf(this.#keys.sum, "ppml broker sum v1", mac);
    for (let index = 0; index < term.byteLength; index += 1)
      this.#sum[index] = (this.#sum[index] ?? 0) ^ (term[index] ?? 0);
  }

  #of(table: TableName): Map<Value, Uint8Array> {
    let rows = this.#macs.get(table);
    if (rows === undefined) this.#macs.set(table, (rows = new Map()));
    return rows;
  }
}
