/**
 * TPC-H's 22 queries over sealed tables, as a job's worker runs them, beside the same DuckDB over the
 * same tables as plain Parquet: all in one process, the sides alternating. Runs as a program of its
 * own inside the worker's sandbox; its argument and its output are JSON.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { alternate, measured } from "../measure.ts";
import type { Median } from "../measure.ts";
import { memoryFolder } from "../memory-folder.ts";
import { runPlain, runSealed, runSealedOnce } from "./sides.ts";
import type { Answer, Query } from "./sides.ts";
import { makeTpchTables } from "./tables.ts";
import type { TpchTables } from "./tables.ts";

/** What to run, and the worker's private tmpfs. */
export type RoundsOptions = {
  readonly quick: boolean;
  readonly scale: number;
  readonly generator: string;
  readonly workDirectory: string;
};

/** Both sides of the same work. */
export type Pair = { readonly plain: Median; readonly sealed: Median };

/** What the program prints. */
export type RoundsResult = {
  /** One a query: each a job of its own. */
  readonly apart: readonly Pair[];
  /** All queries in one session, what they need together opened once. */
  readonly together: Pair;
};

type On = RoundsOptions & { readonly tables: TpchTables; readonly rounds: number };

const QUERIES = join(import.meta.dirname, "queries");

/**
 * Runs all queries on both sides and compares their answers.
 * @throws RangeError where an answer is empty or differs
 */
async function runRounds(options: RoundsOptions): Promise<RoundsResult> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(memoryFolder(), "ppml-bench-"));
  stack.defer(() => {
    rmSync(folder, { recursive: true });
  });
  const tables = await makeTpchTables(folder, { ...options, stack });
  const on: On = { ...options, tables, rounds: options.quick ? 1 : 3 };
  const queries = readQueries();
  const apart: Pair[] = [];
  for (const query of queries) {
    const one = await compare([query], on, () => runSealed(tables, { query, ...on }));
    apart.push(one);
    report(query.name, one);
  }
  const together = await compare(queries, on, () => runSealedOnce(tables, { queries, ...on }));
  report("all", together);
  return { apart, together };
}

function readQueries(): readonly Query[] {
  const files = readdirSync(QUERIES).sort();
  if (files.length !== 22) throw new RangeError(`expected 22 queries, found ${files.length}`);
  return files.map((file) => ({
    name: file.slice(0, 3),
    sql: readFileSync(join(QUERIES, file), "utf8"),
  }));
}

async function compare(
  queries: readonly Query[],
  on: On,
  runOurs: () => Promise<readonly Answer[]>,
): Promise<Pair> {
  let theirs: readonly Answer[] = [];
  let ours: readonly Answer[] = [];
  const pair = await alternate(
    {
      plain: () =>
        measured(async () => {
          theirs = await runPlain(on.tables, queries);
        }),
      sealed: () =>
        measured(async () => {
          ours = await runOurs();
        }),
    },
    { rounds: on.rounds, warmUps: 1 },
  );
  for (const [index, { name }] of queries.entries())
    checkSame(name, { plain: theirs[index], sealed: ours[index] });
  return pair;
}

/** Rows in any order: where a query's own order has ties, two threads may give either. */
function checkSame(
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

function report(name: string, { plain, sealed }: Pair): void {
  const [theirs, ours] = [plain, sealed].map(({ cpuMs }) => cpuMs.toFixed(0).padStart(5));
  const ratio = (sealed.cpuMs / plain.cpuMs).toFixed(2);
  console.error(`${name}  plain ${theirs} ms  sealed ${ours} ms  ratio ${ratio}`);
}

const result = await runRounds(JSON.parse(process.argv[2] ?? "") as RoundsOptions);
console.log(JSON.stringify(result));
