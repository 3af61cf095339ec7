import { equalBytes, PpmlError, sha256, toHex, toTimestamp } from "../base/index.ts";
import type { SigningKey } from "../format/jwk.ts";
import { leafHash } from "../format/merkle.ts";
import type { Inclusion, LogHead } from "../format/protocol.ts";
import { logLeafOf } from "../format/receipt.ts";
import { envelopeSchema, signObject } from "../format/signed-object.ts";
import type { Envelope } from "../format/signed-object.ts";
import { stateError } from "./state-error.ts";
import { parseStored } from "./database.ts";
import type { BrokerDatabase } from "./database.ts";
import { EMPTY_LOG, nextMark } from "./state-mac.ts";

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
  #mark = EMPTY_LOG;

  constructor(db: BrokerDatabase, key: SigningKey) {
    this.#db = db;
    this.#key = key;
  }

  /** Appends an entry and gives its index. Call it inside a transaction. */
  append(envelope: Envelope): number {
    return this.#db.appendLeaf(JSON.stringify(envelope), leafHash(logLeafOf(envelope)));
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

  /**
   * Entries from number `from` on: at most 1,000 and about 8 MiB, at least one where there is one.
   * @throws broker.state where one is not as it was appended
   */
  page(from: number): Envelope[] {
    return this.#db.read(() => {
      this.#sync();
      const entries: Envelope[] = [];
      let bytes = 0;
      for (const json of this.#db.leavesFrom(from)) {
        const envelope = this.#parse(json);
        const known = this.#levels[0]?.[from + entries.length];
        if (known === undefined || !equalBytes(leafHash(logLeafOf(envelope)), known))
          throw this.#changed();
        entries.push(envelope);
        bytes += json.length;
        if (entries.length === MAX_PAGE_ENTRIES || bytes >= MAX_PAGE_BYTES) break;
      }
      return entries;
    });
  }

  /** Reads what was committed since, here or by another process; gives the log's size. */
  #sync(): number {
    return this.#db.read(() => {
      const { size, chain } = this.#db.logMark;
      if (this.#size() === size) return size;
      const hashes: Uint8Array[] = [];
      let mark = this.#mark;
      for (const json of this.#db.leavesFrom(mark.size)) {
        const hash = leafHash(logLeafOf(this.#parse(json)));
        hashes.push(hash);
        mark = nextMark(mark, hash);
      }
      // The chain is under the state's MAC: these are the entries that were appended.
      if (mark.size !== size || !equalBytes(mark.chain, chain)) throw this.#changed();
      for (const hash of hashes) this.#push(hash);
      this.#mark = mark;
      return size;
    });
  }

  #parse(json: string): Envelope {
    return parseStored(envelopeSchema, json, this.#db.path);
  }

  #changed(): PpmlError {
    return stateError(this.#db.path, "an entry of the log is missing or was changed");
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
