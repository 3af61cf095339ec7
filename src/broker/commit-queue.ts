import { isPpmlError } from "../base/index.ts";
import type { Envelope } from "../format/signed-object.ts";
import type { BrokerDatabase } from "./database.ts";
import type { LogStore } from "./log-store.ts";

type Waiting = {
  readonly entry: Envelope;
  readonly check: () => void;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
};

/**
 * Appends entries to the log, those that came within one turn of the event loop in one transaction: syncing
 * the disk takes longer than all else of it, and while it does, more entries come. One that waits alone is
 * committed as soon.
 */
export class CommitQueue {
  readonly #db: BrokerDatabase;
  readonly #log: LogStore;
  #waiting: Waiting[] = [];

  constructor(db: BrokerDatabase, log: LogStore) {
    this.#db = db;
    this.#log = log;
  }

  /**
   * Resolves when the entry is durable. `check`, which only reads, runs in the same transaction right before;
   * where it refuses, this entry is not appended, and others are.
   * Rejects with what `check` throws, and broker.state.
   */
  append(entry: Envelope, check: () => void = () => undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0)
        setImmediate(() => {
          this.#commit();
        });
      this.#waiting.push({ entry, check, resolve, reject });
    });
  }

  #commit(): void {
    const all = this.#waiting;
    this.#waiting = [];
    const answers: (() => void)[] = [];
    try {
      this.#db.transaction(() => {
        for (const waiting of all) answers.push(this.#appendOne(waiting));
      });
    } catch (error) {
      // Nothing of it was committed, or it is not known to be: nobody is told that it was.
      for (const { reject } of all) reject(error);
      return;
    }
    for (const answer of answers) answer();
  }

  /** Gives what to do once the transaction is durable. */
  #appendOne({ entry, check, resolve, reject }: Waiting): () => void {
    try {
      check();
    } catch (error) {
      // What the database itself refuses concerns all of them.
      if (!isPpmlError(error) || isPpmlError(error, "broker.state")) throw error;
      return () => {
        reject(error);
      };
    }
    this.#log.append(entry);
    return resolve;
  }
}
