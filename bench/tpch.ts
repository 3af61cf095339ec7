/** TPC-H over sealed tables beside plain Parquet: starts `tpch/rounds.ts` in a worker's sandbox. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { makeSandbox, probeIsolation } from "../src/compute/sandbox.ts";
import type { Median } from "./measure.ts";
import { pair } from "./table.ts";
import type { Figure } from "./table.ts";
import type { Pair, RoundsOptions, RoundsResult } from "./tpch/rounds.ts";
import { tpchGenerator } from "./tpch/tables.ts";

const ROUNDS = join(import.meta.dirname, "tpch", "rounds.ts");
/** As a job of 8 GiB has it. */
const TMPFS_BYTES = 4 * 1024 ** 3;

/**
 * Runs all queries on both sides, compares their answers and gives the ratios of the CPU time: each
 * query as a job of its own, and all in one session.
 * @throws RangeError where an answer is empty or differs
 */
export function benchTpch({ quick }: { readonly quick: boolean }): Promise<readonly Figure[]> {
  const scale = quick ? 0.1 : 1;
  const { apart, together } = runInSandbox({ quick, scale, generator: tpchGenerator() });
  const figure = (what: string, pairs: readonly Pair[], clock: keyof Median): Figure =>
    pair({
      what: `TPC-H SF${scale}, 22 queries, answers identical, ${what}`,
      ours: seconds(pairs.map(({ sealed }) => sealed[clock])),
      other: { name: "plain Parquet", value: seconds(pairs.map(({ plain }) => plain[clock])) },
      unit: "s",
      // At a tenth of the size fixed costs weigh ten times as much: the goal is for SF1.
      ...(quick || clock !== "cpuMs" ? {} : { goal: { atMost: 1.15 } }),
    });
  return Promise.resolve([
    figure("each a job, CPU", apart, "cpuMs"),
    figure("each a job, wall", apart, "wallMs"),
    figure("opened once, CPU", [together], "cpuMs"),
    figure("opened once, wall", [together], "wallMs"),
  ]);
}

function runInSandbox(options: Omit<RoundsOptions, "workDirectory">): RoundsResult {
  const isolation = probeIsolation();
  using sandbox = makeSandbox({ mode: "simulation", isolation, tmpfsBytes: TMPFS_BYTES });
  const { workDirectory } = sandbox;
  const argument = JSON.stringify({ ...options, workDirectory });
  const { file, args } = sandbox.command(process.execPath, [ROUNDS, argument]);
  const run = spawnSync(file, args, { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });
  if (run.status !== 0) throw new RangeError(`the rounds ended with ${run.status ?? run.signal}`);
  return JSON.parse(run.stdout) as RoundsResult;
}

function seconds(milliseconds: readonly number[]): number {
  return milliseconds.reduce((sum, one) => sum + one, 0) / 1000;
}
