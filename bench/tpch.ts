/**
 * TPC-H's 22 queries over sealed tables, as a job's worker runs them, beside the same DuckDB over the
 * same tables as plain Parquet: all in one process and one tmpfs, the sides alternating.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { alternate, measured } from "./measure.ts";
import type { Median } from "./measure.ts";
import { memoryFolder } from "./memory-folder.ts";
import { pair } from "./table.ts";
import type { Figure } from "./table.ts";
import { runPlain, runSealed } from "./tpch/sides.ts";
import type { Answer } from "./tpch/sides.ts";
import { makeTpchTables } from "./tpch/tables.ts";
import type { TpchTables } from "./tpch/tables.ts";

const QUERIES = join(import.meta.dirname, "tpch", "queries");

type Query = { readonly name: string; readonly sql: string };
type Pair = { readonly plain: Median; readonly sealed: Median };

/**
 * Runs all queries on both sides, compares their answers and gives the ratio of the CPU time.
 * @throws RangeError where an answer is empty or differs
 */
export async function benchTpch(options: { readonly quick: boolean }): Promise<readonly Figure[]> {
  const scale = options.quick ? 0.1 : 1;
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(memoryFolder(), "ppml-bench-"));
  stack.defer(() => {
    rmSync(folder, { recursive: true });
  });
  const tables = await makeTpchTables(folder, { scale, stack });
  const pairs: Pair[] = [];
  for (const query of readQueries()) {
    const one = await runQuery(query, { tables, folder, rounds: options.quick ? 1 : 3 });
    pairs.push(one);
    const { plain, sealed } = one;
    console.error(
      `${query.name}  plain ${plain.cpuMs.toFixed(0).padStart(5)} ms  sealed ${sealed.cpuMs.toFixed(0).padStart(5)} ms  ratio ${(sealed.cpuMs / plain.cpuMs).toFixed(2)}`,
    );
  }
  const total = (side: keyof Pair, of: "cpuMs" | "wallMs"): number =>
    pairs.reduce((sum, one) => sum + one[side][of], 0) / 1000;
  const what = `TPC-H SF${scale}, ${pairs.length} queries, answers identical`;
  const figure = (clock: "cpuMs" | "wallMs"): Parameters<typeof pair>[0] => ({
    what: `${what}, ${clock === "cpuMs" ? "CPU" : "wall"}`,
    ours: total("sealed", clock),
    other: { name: "plain Parquet", value: total("plain", clock) },
    unit: "s",
  });
  // At a tenth of the size fixed costs weigh ten times as much: the goal is for SF1.
  const cpu = figure("cpuMs");
  return [pair(options.quick ? cpu : { ...cpu, goal: { atMost: 1.15 } }), pair(figure("wallMs"))];
}

function readQueries(): readonly Query[] {
  const files = readdirSync(QUERIES).sort();
  if (files.length !== 22) throw new RangeError(`expected 22 queries, found ${files.length}`);
  return files.map((file) => ({
    name: file.slice(0, 3),
    sql: readFileSync(join(QUERIES, file), "utf8"),
  }));
}

async function runQuery(
  { name, sql }: Query,
  on: { readonly tables: TpchTables; readonly folder: string; readonly rounds: number },
): Promise<Pair> {
  const { tables, folder, rounds } = on;
  const answers: { plain?: Answer; sealed?: Answer } = {};
  const pairs = await alternate(
    {
      plain: () =>
        measured(async () => {
          answers.plain = await runPlain(tables, sql);
        }),
      sealed: () =>
        measured(async () => {
          answers.sealed = await runSealed(tables, { sql, workDirectory: folder });
        }),
    },
    { rounds, warmUps: 1 },
  );
  checkSame(name, answers);
  return pairs;
}

/** Rows in any order: where a query's own order has ties, two threads may give either. */
function checkSame(
  name: string,
  { plain, sealed }: { readonly plain?: Answer; readonly sealed?: Answer },
): void {
  if (plain === undefined || plain.length === 0) throw new RangeError(`${name} gave no rows`);
  if (sorted(plain) !== sorted(sealed ?? []))
    throw new RangeError(`${name}: the answer over sealed tables differs from the plain one`);
}

function sorted(answer: Answer): string {
  return JSON.stringify(answer.map((row) => JSON.stringify(row)).sort());
}
