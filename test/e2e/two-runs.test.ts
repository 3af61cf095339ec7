import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ppml, runInProcess, temporaryFolder } from "../cli/ppml.ts";

test("of sealings, and of runs of one job, at once the losers are refused, and what the winner stored stays whole", async (context) => {
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
  const sealings = await Promise.all([1, 2, 3].map(() => ppml(["data", "seal"], { cwd })));
  assert.ok(sealings.some(({ code }) => code === 0));
  for (const { code, stderr } of sealings)
    if (code !== 0)
      assert.match(stderr, /is writing people: nothing was changed[\s\S]*store\.conflict/);
  const verified = await runInProcess(["data", "verify", "people"], { cwd });
  assert.equal(verified.code, 0, verified.stdout);
  const signed = await runInProcess(["job", "sign", "developers"], { cwd });
  assert.equal(signed.code, 0, signed.stderr);
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
