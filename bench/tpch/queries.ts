import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { SqlSettings } from "../../src/format/job.ts";

/** Both sides' engine: the same threads, memory and everything else that `openSession` sets. */
export const SETTINGS: SqlSettings = { memoryMiB: 8192, timeoutSeconds: 600, threads: 2 };

/** More rows than any answer has. */
export const MOST_ROWS = 100_000;

/** A query of TPC-H by its number, `q01` to `q22`. */
export type Query = { readonly name: string; readonly sql: string };

/** A query's answer: rows of values as text. */
export type Answer = readonly (readonly (string | null)[])[];

const FOLDER = join(import.meta.dirname, "queries");

/** All queries of TPC-H, in their order. @throws RangeError where they are not 22 */
export function readQueries(): readonly Query[] {
  const files = readdirSync(FOLDER).sort();
  if (files.length !== 22) throw new RangeError(`expected 22 queries, found ${files.length}`);
  return files.map((file) => ({
    name: file.slice(0, 3),
    sql: readFileSync(join(FOLDER, file), "utf8"),
  }));
}

/** The query without its closing semicolon. */
export function textOf({ sql }: Query): string {
  return sql.trim().replace(/;$/, "");
}

/**
 * Compares rows in any order: where a query's own order has ties, two threads may give either.
 * @throws RangeError where an answer is empty or differs
 */
export function checkSame(
  name: string,
  { plain, sealed }: { readonly plain: Answer | undefined; readonly sealed: Answer | undefined },
): void {
  if (plain === undefined || plain.length === 0) throw new RangeError(`${name} gave no rows`);
  if (sorted(plain) !== sorted(sealed ?? []))
    throw new RangeError(`${name}: the answer over sealed tables differs from the plain one`);
}

function sorted(answer: Answer): string {
  return JSON.stringify(answer.map((row) => JSON.stringify(row)).sort());
}
