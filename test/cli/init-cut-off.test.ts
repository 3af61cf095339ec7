import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";
import { makeStaging } from "../../src/cli/project-staging.ts";
import { makeStepwise } from "./init-steps.ts";
import { PPML, ppml, runInProcess, temporaryFolder } from "./ppml.ts";

const CHILD = join(import.meta.dirname, "init-child.ts");
const INIT = ["init", ".", "--template", "people", "--rows", "3"];

const WHOLE = [".gitignore", ".ppml", "data", "ppml.yaml", "queries", "roots.json"];
const STATE = [
  ".gitignore",
  "broker",
  "broker.mark",
  "owner.key",
  "ppml.schema.json",
  "root.key",
  "sim",
  "vault.db",
];

/** Makes a project in a process that kills itself at a step; gives the signal that ended it. */
function killedAt(root: string, step: number): string | null {
  const args = ["--disable-warning=ExperimentalWarning", CHILD, root, String(step)];
  return spawnSync(process.execPath, args, { encoding: "utf8" }).signal;
}

/** Makes a project here, failing at a step where one is given; gives the error as Node shows it, or null. */
async function failedAt(root: string, at: number | null): Promise<string | null> {
  try {
    await makeStepwise(root, (_, step) => {
      if (step === at) throw new Error("failed on purpose");
    });
    return null;
  } catch (error) {
    return inspect(error);
  }
}

/** The labels of all steps. */
async function stepsIn(root: string): Promise<string[]> {
  const steps: string[] = [];
  await makeStepwise(root, (label) => void steps.push(label));
  return steps;
}

/** The project is whole, holds nothing else, and its vault and broker open. */
async function assertWhole(root: string): Promise<void> {
  assert.deepEqual(readdirSync(root).sort(), WHOLE);
  assert.deepEqual(readdirSync(join(root, ".ppml")).sort(), STATE);
  const keys = await runInProcess(["key", "list", "--json"], { cwd: root });
  assert.equal(keys.code, 0, keys.stderr);
}

test("an init that is killed at any of its steps is simply run again", async (context) => {
  const folder = temporaryFolder(context);
  const steps = await stepsIn(join(folder, "count"));
  assert.ok(steps.includes("making the broker's state") && steps.includes("placing .ppml"));
  for (const [step, label] of steps.entries()) {
    const root = join(folder, `killed-${step}`);
    assert.equal(killedAt(root, step), "SIGKILL", label);
    const again = await failedAt(root, null);
    if (label === "clearing up")
      assert.match(again ?? "", /cut off after it had made the project: use it as it is/);
    else assert.equal(again, null, label);
    await assertWhole(root);
  }
});

test("an init that fails at any of its steps leaves nothing but what was there", async (context) => {
  const folder = temporaryFolder(context);
  const steps = await stepsIn(join(folder, "count"));
  for (const [step, label] of steps.entries()) {
    const root = join(folder, `failed-${step}`);
    mkdirSync(join(root, "queries"), { recursive: true });
    writeFileSync(join(root, ".gitignore"), "mine\n");
    assert.match((await failedAt(root, step)) ?? "", /failed on purpose/, label);
    if (label === "clearing up") {
      const late = await failedAt(root, null);
      assert.match(late ?? "", /cut off after it had made the project/);
      await assertWhole(root);
      continue;
    }
    assert.deepEqual(readdirSync(root).sort(), [".gitignore", "queries"], label);
    assert.equal(readFileSync(join(root, ".gitignore"), "utf8"), "mine\n");
    assert.equal(await failedAt(root, null), null, label);
    await assertWhole(root);
  }
});

test("an init that is killed at any time is run again or had completed", async (context) => {
  const folder = temporaryFolder(context);
  for (let round = 0; round < 5; round++) {
    const root = join(folder, `round-${round}`);
    mkdirSync(root);
    const child = spawn(PPML, INIT, { cwd: root, stdio: "ignore" });
    const ended = once(child, "exit");
    await Promise.race([ended, delay(Math.random() * 2500)]);
    child.kill("SIGKILL");
    await ended;
    const was = readdirSync(root);
    const again = await ppml(INIT, { cwd: root });
    const message = `after ${was.join(" ")}: ${again.stderr}`;
    if (was.includes(".ppml")) assert.match(again.stderr, /code: {2}cli\.exists/, message);
    else assert.equal(again.code, 0, message);
    await assertWhole(root);
  }
});

test("an init that cannot write any more leaves nothing, and works when it can", async (context) => {
  const root = temporaryFolder(context);
  // No file over 2, 8 or 20 KiB: sooner or later a database does not fit. Node ignores SIGXFSZ; writes fail.
  const script = 'ulimit -f "$1"; shift; exec "$@"';
  for (const blocks of ["2", "8", "20"]) {
    const args = ["-c", script, "sh", blocks, PPML, ...INIT];
    const run = spawnSync("bash", args, {
      cwd: root,
      encoding: "utf8",
      env: { PATH: process.env["PATH"] },
    });
    assert.notEqual(run.status, 0, `${blocks} blocks`);
    assert.deepEqual(readdirSync(root), [], `${blocks} blocks: ${run.stderr}`);
  }
  const again = await ppml(INIT, { cwd: root });
  assert.equal(again.code, 0, again.stderr);
  await assertWhole(root);
});

test("what a killed init did not place is not taken back, and a second init waits for the first", async (context) => {
  const root = temporaryFolder(context);
  const staging = await makeStaging(root);
  writeFileSync(join(staging.tree, "ppml.yaml"), "staged");
  const second = await runInProcess(INIT, { cwd: root });
  assert.equal(second.code, 1);
  assert.match(second.stderr, /another ppml init is at work/);
  staging[Symbol.dispose]();
  writeFileSync(join(root, "ppml.yaml"), "mine");
  const refused = await runInProcess(INIT, { cwd: root });
  assert.match(refused.stderr, /already has ppml\.yaml/);
  assert.equal(readFileSync(join(root, "ppml.yaml"), "utf8"), "mine");
  assert.ok(!existsSync(join(root, ".ppml.new")), "the leftover is gone");
  rmSync(join(root, "ppml.yaml"));
  assert.equal((await runInProcess(INIT, { cwd: root })).code, 0);
});

test("a staging folder that cannot be used is named as what to remove", async (context) => {
  const root = temporaryFolder(context);
  mkdirSync(join(root, ".ppml.new/lock"), { recursive: true });
  const run = await runInProcess(INIT, { cwd: root });
  assert.equal(run.code, 1);
  assert.match(run.stderr, /\.ppml\.new is left of an earlier ppml init .*: remove that folder/);
  rmSync(join(root, ".ppml.new"), { recursive: true });
  assert.equal((await runInProcess(INIT, { cwd: root })).code, 0);
});
