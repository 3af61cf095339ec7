import { equalBytes, PpmlError, sha256, toHex, toTimestamp } from "../base/index.ts";
import type { SigningKey } from "../format/jwk.ts";
import { leafHash } from "../format/merkle.ts";
import type { Inclusion, LogHead } from "../format/protocol.ts";
import { logLeafOf } from "../format/receipt.ts";
import { envelopeSchema, signObject } from "../format/signed-object.ts";
import type { Envelope } from "../format/signed-object.ts";
import { parseStored } from "./database.ts";
import type { BrokerDatabase } from "./database.ts";

const MAX_PAGE_ENTRIES = 1000;
const MAX_PAGE_BYTES = 8 * 1024 * 1024;

/**
 * The broker's Merkle log. Leaves stand in broker.db; the hashes of complete subtrees are kept in
 * memory, so that a head and a proof cost the logarithm of the log's size.
 */
export class LogStore {
  readonly #db: BrokerDatabase;
  readonly #key: SigningKey;
  /** `#levels[k][i]`: hash of the complete subtree over leaves i * 2^k to (i + 1) * 2^k - 1. */
  readonly #levels: Uint8Array[][] = [[]];

  constructor(db: BrokerDatabase, key: SigningKey) {
    this.#db = db;
    this.#key = key;
  }

  /** Appends an entry and gives its index. Call it inside a transaction. */
  append(envelope: Envelope): number {
    const row = this.#db.get("SELECT coalesce(max(log_index) + 1, 0) AS n FROM leaves");
    const index = Number(row?.["n"]);
    const hash = leafHash(logLeafOf(envelope));
    this.#db.run("INSERT INTO leaves VALUES (?, ?, ?)", index, JSON.stringify(envelope), hash);
    return index;
  }

  /** The present head, signed. */
  head(nowMs: number): Envelope {
    const size = this.#sync();
    const head: LogHead = {
      v: 1,
      mode: this.#db.identity.mode,
      size,
      root: toHex(size === 0 ? sha256() : this.#subtree(0, size)),
      time: toTimestamp(nowMs),
    };
    return signObject("log-head", head, this.#key);
  }

  /**
   * An entry's audit path to the present head.
   * @throws receipt.log where there is no such entry
   * @see RFC 6962 section 2.1.1
   */
  prove(index: number, nowMs: number): Inclusion {
    const head = this.head(nowMs);
    const size = this.#size();
    if (!Number.isSafeInteger(index) || index < 0 || index >= size)
      throw new PpmlError("receipt.log", `the log has ${size} entries, none with number ${index}`);
    const hashes: string[] = [];
    let from = 0;
    let to = size;
    while (to - from > 1) {
      const middle = from + largestPowerBelow(to - from);
      const left = index < middle;
      hashes.unshift(toHex(left ? this.#subtree(middle, to) : this.#subtree(from, middle)));
      if (left) to = middle;
      else from = middle;
    }
    return { index, hashes, head };
  }

  /** Entries from number `from` on: at most 1,000 and about 8 MiB, at least one where there is one. */
  page(from: number): Envelope[] {
    const entries: Envelope[] = [];
    let bytes = 0;
    while (entries.length < MAX_PAGE_ENTRIES && bytes < MAX_PAGE_BYTES) {
      const row = this.#db.get(
        "SELECT envelope FROM leaves WHERE log_index = ?",
        from + entries.length,
      );
      if (row === null) break;
      bytes += String(row["envelope"]).length;
      entries.push(parseStored(envelopeSchema, row["envelope"], this.#db.path));
    }
    return entries;
  }

  /** One entry. @throws broker.state where it is missing */
  entry(index: number): Envelope {
    const row = this.#db.get("SELECT envelope FROM leaves WHERE log_index = ?", index);
    return parseStored(envelopeSchema, row?.["envelope"], this.#db.path);
  }

  /** Reads what was committed since, here or by another process; gives the log's size. */
  #sync(): number {
    const rows = this.#db.all(
      "SELECT log_index, envelope, hash FROM leaves WHERE log_index >= ? ORDER BY log_index",
      this.#size(),
    );
    for (const row of rows) {
      const envelope = parseStored(envelopeSchema, row["envelope"], this.#db.path);
      const hash = leafHash(logLeafOf(envelope));
      const stored = row["hash"];
      if (
        Number(row["log_index"]) !== this.#size() ||
        !(stored instanceof Uint8Array) ||
        !equalBytes(hash, stored)
      )
        throw new PpmlError(
          "broker.state",
          `${this.#db.path}: log entry ${String(row["log_index"])} is missing or was changed: restore the file from a backup`,
        );
      this.#push(hash);
    }
    return this.#size();
  }

  #size(): number {
    return this.#levels[0]?.length ?? 0;
  }

  #push(leaf: Uint8Array): void {
    let hash = leaf;
    for (let level = 0; ; level += 1) {
      const row = this.#levels[level] ?? [];
      this.#levels[level] = row;
      row.push(hash);
      const left = row.at(-2);
      if (row.length % 2 === 1 || left === undefined) return;
      hash = sha256(Uint8Array.of(1), left, hash);
    }
  }

  /** Root over leaves `from` to `to` - 1, where `from` is a multiple of the range's power of two. */
  #subtree(from: number, to: number): Uint8Array {
    const size = to - from;
    const level = Math.log2(size);
    if (Number.isInteger(level)) {
      const hash = this.#levels[level]?.[from / size];
      if (hash === undefined) throw new PpmlError("base.internal", "a log's subtree is missing");
      return hash;
    }
    const middle = from + largestPowerBelow(size);
    return sha256(Uint8Array.of(1), this.#subtree(from, middle), this.#subtree(middle, to));
  }
}

function largestPowerBelow(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}
