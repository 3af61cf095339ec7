/** TPC-H over sealed tables beside plain Parquet: starts `tpch/rounds.ts` in a worker's sandbox. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { makeSandbox, probeIsolation } from "../src/compute/sandbox.ts";
import { pair } from "./table.ts";
import type { Figure } from "./table.ts";
import { measureOneJob } from "./tpch/one-job.ts";
import type { Pair, RoundsOptions, RoundsResult } from "./tpch/rounds.ts";
import { tpchGenerator } from "./tpch/tables.ts";

const ROUNDS = join(import.meta.dirname, "tpch", "rounds.ts");
/** As a job of 8 GiB has it. */
const TMPFS_BYTES = 4 * 1024 ** 3;
const ROUNDS_OF_ONE_JOB = 5;

/**
 * Runs all queries on both sides, compares their answers and gives the ratios of the CPU time: all as
 * one job, and each as a job of its own.
 * @throws RangeError where an answer is empty or differs
 */
export async function benchTpch({
  quick,
}: {
  readonly quick: boolean;
}): Promise<readonly Figure[]> {
  const scale = quick ? 0.1 : 1;
  const generator = tpchGenerator();
  const oneJob = await measureOneJob({ scale, generator, rounds: quick ? 1 : ROUNDS_OF_ONE_JOB });
  const { pairs } = runInSandbox({ quick, scale, generator });
  const figure = (of: What): Figure =>
    pair({
      what: `TPC-H SF${scale}, 22 queries, answers identical, ${of.what}`,
      ours: seconds(of.pairs.map(({ sealed }) => sealed[of.clock])),
      other: {
        name: "plain Parquet",
        value: seconds(of.pairs.map(({ plain }) => plain[of.clock])),
      },
      unit: "s",
      // At a tenth of the size fixed costs weigh ten times as much: the goal is for SF1.
      ...(of.atMost === undefined || quick ? {} : { goal: { atMost: of.atMost } }),
    });
  return [
    figure({ what: "one job, CPU", pairs: [oneJob], clock: "cpuMs", atMost: 1.15 }),
    figure({ what: "one job, wall", pairs: [oneJob], clock: "wallMs" }),
    figure({ what: "each a job, CPU", pairs, clock: "cpuMs" }),
    figure({ what: "each a job, wall", pairs, clock: "wallMs" }),
  ];
}

type What = {
  readonly what: string;
  readonly pairs: readonly Pair[];
  readonly clock: "cpuMs" | "wallMs";
  readonly atMost?: number;
};

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
