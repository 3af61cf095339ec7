// `npm run fuzz -- [--seconds N] [--target NAME] [--seed N] [--replay FILE]`: mutates good inputs of
// every parser and looks for crashes, hangs, memory and forged content. N seconds for each target.
import { fork } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import type { FuzzReport } from "./fuzz/run-target.ts";
import { TARGETS } from "./fuzz/targets.ts";

const ROOT = join(import.meta.dirname, "..");
const KEPT = join(ROOT, "fuzz-failures");
/** Without a sign of life for so long, a target hangs. */
const HANG_MS = 30_000;
const MEMORY_MIB = 1024;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    target: { type: "string", multiple: true, default: [] },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    replay: { type: "string", default: "" },
  },
});
const wanted = values.target;
const unknown = wanted.find((name) => !TARGETS.some((target) => target.name === name));
const isNumber = [values.seconds, values.seed].every((text) => /^\d{1,10}$/.test(text));
if (unknown !== undefined || !isNumber || (values.replay !== "" && wanted.length !== 1)) {
  console.error(
    `Usage: npm run fuzz -- [--seconds N] [--seed N] [--target NAME]... [--replay FILE, with one target]\nTargets: ${TARGETS.map(({ name }) => name).join(" ")}`,
  );
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "ppml-fuzz-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
console.log(`seed ${values.seed}, ${values.seconds} s a target`);
console.log(
  "target                  promise    mutations  accepted  slowest ms  peak MiB  refusals",
);
let [mutations, failures] = [0, 0];
for (const { name } of TARGETS) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const current = join(folder, `${name}.bin`);
  const outcome = await runTarget(name, current);
  const failure = typeof outcome === "string" ? outcome : outcome.failure;
  if (typeof outcome !== "string") {
    mutations += outcome.mutations;
    console.log(line(outcome));
  }
  if (failure === null) continue;
  failures += 1;
  mkdirSync(KEPT, { recursive: true });
  const kept = relative(ROOT, join(KEPT, `${name}-${values.seed}.bin`));
  const isKept = values.replay === "" && existsSync(current);
  if (isKept) copyFileSync(current, join(ROOT, kept));
  const again = isKept ? kept : values.replay;
  console.error(
    `FAILED ${name}: ${failure}\n  again: npm run fuzz -- --target ${name} ${again === "" ? `--seed ${values.seed}` : `--replay ${again}`}`,
  );
}
console.log(`${mutations} mutations, ${failures} failures`);
process.exitCode = failures === 0 ? 0 : 1;

function line(report: FuzzReport): string {
  const codes = Object.entries(report.codes).toSorted(([, a], [, b]) => b - a);
  return [
    report.target.padEnd(23),
    report.promise.padEnd(10),
    String(report.mutations).padStart(9),
    String(report.accepted).padStart(9),
    String(report.slowestMs).padStart(11),
    String(report.peakMib).padStart(9),
    ` ${codes.map(([code, count]) => `${code} ${count}`).join(", ")}`,
  ].join(" ");
}

/** What the target's process reported, or what became of it. */
function runTarget(name: string, current: string): Promise<FuzzReport | string> {
  const { seconds, seed, replay } = values;
  const child = fork(
    join(import.meta.dirname, "fuzz/run-target.ts"),
    [name, seconds, seed, current, replay],
    {
      cwd: ROOT,
      execArgv: ["--disable-warning=ExperimentalWarning", `--max-old-space-size=${MEMORY_MIB}`],
    },
  );
  return new Promise((resolve) => {
    let found: FuzzReport | string | null = null;
    const hang = setTimeout(() => {
      found = `hangs: no sign of life for ${HANG_MS / 1000} s`;
      child.kill("SIGKILL");
    }, HANG_MS);
    child.on("message", (message) => {
      hang.refresh();
      if (message !== "beat") found = message as FuzzReport;
    });
    child.once("exit", (code, signal) => {
      clearTimeout(hang);
      resolve(found ?? `its process ended with ${signal ?? `code ${code}`}`);
    });
  });
}
