import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { z } from "zod";
import { PpmlError } from "../base/index.ts";
import { parseWith } from "../format/schema.ts";

const BUSY_TIMEOUT_MS = 10_000;
const SCHEMA = `CREATE TABLE IF NOT EXISTS documents (
  kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID`;

/** A kind of document: its name in the file, and the form of its JSON. @see state-kinds.ts */
export type DocumentKind<T> = { readonly name: string; readonly schema: z.ZodType<T> };

/** Names a kind of document. Each service names its own; what several use stands in state-kinds.ts. */
export function defineKind<T>(name: string, schema: z.ZodType<T>): DocumentKind<T> {
  return { name, schema };
}

/**
 * What a twin knows: documents (kind, id, JSON) in one SQLite file of mode 0600. All of it is
 * synchronous, so that a handler that does not await between reading and writing is atomic within the
 * process; `transaction` makes several writes one, against kills and against other processes.
 */
export class TwinState implements Disposable {
  readonly #db: DatabaseSync;
  #depth = 0;

  private constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** Opens the file, or makes it with its folder. @throws twin.state */
  static open(path: string): TwinState {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      // SQLite gives its journals the rights of this file.
      closeSync(openSync(path, "a", 0o600));
      const db = new DatabaseSync(path);
      // NORMAL: a kill loses nothing; a power cut may lose the last writes, and never the file.
      db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA trusted_schema = OFF;
        PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; ${SCHEMA}`);
      return new TwinState(db);
    } catch (cause) {
      throw new PpmlError(
        "twin.state",
        `${path} is not a twin's state, or cannot be written: name another folder, or remove it to begin anew`,
        { cause },
      );
    }
  }

  /** The document, or null. @throws twin.state where it is not of its kind's form */
  get<T>(kind: DocumentKind<T>, id: string): T | null {
    const row = this.#db
      .prepare("SELECT body FROM documents WHERE kind = ? AND id = ?")
      .get(kind.name, id);
    return row === undefined ? null : parse(kind, { id, body: row["body"] });
  }

  /** Adds a document or replaces it. */
  put<T>(kind: DocumentKind<T>, id: string, document: NoInfer<T>): void {
    this.#db
      .prepare("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)")
      .run(kind.name, id, JSON.stringify(document));
  }

  /** Removes a document; false where there was none. */
  remove<T>(kind: DocumentKind<T>, id: string): boolean {
    const { changes } = this.#db
      .prepare("DELETE FROM documents WHERE kind = ? AND id = ?")
      .run(kind.name, id);
    return Number(changes) > 0;
  }

  /** Documents of a kind in the order of their ids: all, or those whose id begins or ends so. */
  list<T>(
    kind: DocumentKind<T>,
    ids: { readonly prefix?: string; readonly suffix?: string } = {},
  ): readonly { readonly id: string; readonly document: T }[] {
    const { prefix = "", suffix = "" } = ids;
    return this.#db
      .prepare(
        `SELECT id, body FROM documents WHERE kind = ? AND substr(id, 1, ?) = ?
         AND (? = 0 OR substr(id, -?) = ?) ORDER BY id`,
      )
      .all(kind.name, prefix.length, prefix, suffix.length, suffix.length, suffix)
      .map(({ id, body }) => ({
        id: String(id),
        document: parse(kind, { id: String(id), body }),
      }));
  }

  /** Whether there is any document of a kind. */
  has<T>(kind: DocumentKind<T>): boolean {
    return (
      this.#db.prepare("SELECT 1 FROM documents WHERE kind = ? LIMIT 1").get(kind.name) !==
      undefined
    );
  }

  /** Runs `work` (which must not await) in one transaction: all its writes are kept, or none. */
  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.#db.exec("BEGIN IMMEDIATE");
    this.#depth += 1;
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      this.#db.exec("ROLLBACK");
      throw error;
    } finally {
      this.#depth -= 1;
    }
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close();
  }
}

function parse<T>(kind: DocumentKind<T>, row: { readonly id: string; readonly body: unknown }): T {
  const what = `the twin's ${kind.name} ${row.id}`;
  return parseWith(kind.schema, JSON.parse(String(row.body)), { what, code: "twin.state" });
}
