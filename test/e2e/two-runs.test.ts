import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PPML, ppml, runInProcess, temporaryFolder } from "../cli/ppml.ts";

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
  const sealings = await Promise.all([1, 2].map(() => ppml(["data", "seal"], { cwd })));
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

test("a run whose broker ends is ended at once, and says so", async (context) => {
  const cwd = temporaryFolder(context);
  const run = async (line: string): Promise<void> => {
    const { code, stderr } = await runInProcess(line.split(" "), { cwd });
    assert.equal(code, 0, `${line}: ${stderr}`);
  };
  await run("init --template people --rows 500");
  await run("data seal");
  // Far longer than the test may take.
  const query =
    "SELECT count(*) AS n FROM people a, people b, people c, people d WHERE hash(a.name || b.name || c.name || d.name) = 7";
  writeFileSync(join(cwd, "queries/developers.sql"), query);
  for (const line of ["job sign developers", "policy draft analysis", "policy apply analysis"])
    await run(line);
  const child = spawn(PPML, ["run", "developers"], { cwd, stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(child, "close");
  let said = "";
  await new Promise<void>((resolve) => {
    child.stderr.on("data", (chunk: Buffer) => {
      said += String(chunk);
      if (said.includes("not rolled back")) resolve();
    });
    child.once("close", () => resolve());
  });
  const broker = childrenOf(child.pid ?? 0).find((pid) => commandOf(pid).includes("broker/main"));
  assert.ok(broker !== undefined, said);
  const atMs = performance.now();
  process.kill(broker, "SIGKILL");
  const [code] = (await ended) as [number | null];
  assert.ok(performance.now() - atMs < 20_000, "it does not wait for the query");
  assert.equal(code, 1);
  assert.match(said, /broker ended while the job ran[^]*broker\.unavailable/);
});

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8");
}

/** Its children, and theirs. */
function childrenOf(pid: number): readonly number[] {
  const found = [pid];
  for (const one of found) {
    const text = readFileSync(`/proc/${one}/task/${one}/children`, "utf8");
    for (const child of text.split(" ")) if (child.trim() !== "") found.push(Number(child));
  }
  return found.slice(1);
}
