/**
 * TPC-H's 22 queries over sealed tables, each as a job's worker runs it, beside the same DuckDB over the
 * same tables as plain Parquet: all in one process, the sides alternating. Runs as a program of its
 * own inside the worker's sandbox; its argument and its output are JSON.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { alternate, measured } from "../measure.ts";
import type { Median } from "../measure.ts";
import { memoryFolder } from "../memory-folder.ts";
import { checkSame, readQueries } from "./queries.ts";
import type { Answer, Query } from "./queries.ts";
import { runPlain, runSealed } from "./sides.ts";
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
  /** One a query. */
  readonly pairs: readonly Pair[];
};

/** Runs all queries on both sides and compares their answers. */
async function runRounds(options: RoundsOptions): Promise<RoundsResult> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(memoryFolder(), "ppml-bench-"));
  stack.defer(() => {
    rmSync(folder, { recursive: true });
  });
  const tables = await makeTpchTables(folder, { ...options, stack });
  const pairs: Pair[] = [];
  for (const query of readQueries()) {
    const one = await compare(query, { ...options, tables });
    pairs.push(one);
    report(query.name, one);
  }
  return { pairs };
}

async function compare(query: Query, on: RoundsOptions & { tables: TpchTables }): Promise<Pair> {
  let theirs: Answer = [];
  let ours: Answer = [];
  const { workDirectory } = on;
  const pair = await alternate(
    {
      plain: () =>
        measured(async () => {
          theirs = await runPlain(on.tables, query);
        }),
      sealed: () =>
        measured(async () => {
          ours = await runSealed(on.tables, { query, workDirectory });
        }),
    },
    { rounds: on.quick ? 1 : 3, warmUps: 1 },
  );
  checkSame(query.name, { plain: theirs, sealed: ours });
  return pair;
}

function report(name: string, { plain, sealed }: Pair): void {
  const [theirs, ours] = [plain, sealed].map(({ cpuMs }) => cpuMs.toFixed(0).padStart(5));
  const ratio = (sealed.cpuMs / plain.cpuMs).toFixed(2);
  console.error(`${name}  plain ${theirs} ms  sealed ${ours} ms  ratio ${ratio}`);
}

const result = await runRounds(JSON.parse(process.argv[2] ?? "") as RoundsOptions);
console.log(JSON.stringify(result));
