import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ppml, runInProcess, temporaryFolder } from "../cli/ppml.ts";

test("of two runs of one job at once the loser is refused, and the winner's result stays whole", async (context) => {
  const cwd = temporaryFolder(context);
  const steps = [
    "init --template people --rows 50",
    "data seal",
    "job sign developers",
    "policy draft analysis",
    "policy draft owner",
    "policy apply",
  ];
  for (const line of steps) {
    const { code, stderr } = await runInProcess(line.split(" "), { cwd });
    assert.equal(code, 0, `${line}: ${stderr}`);
  }
  const runs = await Promise.all([1, 2].map(() => ppml(["run", "developers"], { cwd })));
  assert.ok(runs.some(({ code }) => code === 0));
  // Runs that happened not to overlap may all succeed; a loser has this error and no other.
  for (const { code, stderr } of runs)
    if (code !== 0)
      assert.match(stderr, /another run published a result of developers[\s\S]*store\.conflict/);
  for (const line of ["data open developers", "data verify developers"]) {
    const { code, stderr } = await runInProcess(line.split(" "), { cwd });
    assert.equal(code, 0, `${line}: ${stderr}`);
  }
  const stored = readdirSync(join(cwd, "sealed/developers"), { recursive: true }).map(String);
  assert.equal(stored.filter((name) => name.endsWith(".parquet")).length, 1);
});
