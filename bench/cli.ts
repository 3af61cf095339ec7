// How long the command line takes to start: medians of 20 runs each, after one to fill the cache.
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const RUNS = 20;
const PPML = join(import.meta.dirname, "../bin/ppml");

const CASES: readonly (readonly [label: string, command: string, ...args: string[]])[] = [
  ["node -e 0", process.execPath, "-e", "0"],
  ["ppml --help", PPML, "--help"],
  ["ppml key --help", PPML, "key", "--help"],
  ["ppml key list --help", PPML, "key", "list", "--help"],
  ["ppml __complete key ''", PPML, "__complete", "key", ""],
];

for (const [label, command, ...args] of CASES) {
  const times: number[] = [];
  for (let run = 0; run <= RUNS; run += 1) {
    const startedMs = performance.now();
    const { status } = spawnSync(command, args, { stdio: "ignore" });
    if (status !== 0) throw new Error(`${label} ended with ${status}`);
    if (run > 0) times.push(performance.now() - startedMs);
  }
  const median = times.sort((a, b) => a - b)[RUNS / 2] ?? 0;
  console.log(`${label.padEnd(24)} ${median.toFixed(0).padStart(5)} ms`);
}
