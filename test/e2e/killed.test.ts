import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runInProcess } from "../cli/ppml.ts";
import { makeScratch } from "../compute/fixture.ts";
import { makeTestProject } from "./project.ts";
import type { TestProject } from "./project.ts";

const MAIN = join(import.meta.dirname, "../../src/cli/main.ts");
const HOOK = join(import.meta.dirname, "kill-hook.ts");

const scratch = makeScratch();
let project: TestProject;
before(async () => {
  const sql = "SELECT count(*) AS n FROM people";
  project = await makeTestProject({ folder: scratch.path, canary: "x", sql, ownerOpens: true });
});
after(() => {
  scratch[Symbol.dispose]();
});

type Kill = {
  readonly call: "rename" | "unlink";
  readonly path: string;
  readonly when: "before" | "after";
};

/** Runs a command that kills itself there. */
function killed(kill: Kill, ...args: readonly string[]): void {
  const { signal, stderr } = spawnSync(process.execPath, ["--import", HOOK, MAIN, ...args], {
    cwd: project.root,
    encoding: "utf8",
    env: { ...process.env, TMPDIR: project.temporary, PPML_TEST_KILL: JSON.stringify(kill) },
  });
  assert.equal(signal, "SIGKILL", `${JSON.stringify(kill)}: ${stderr}`);
}

async function must(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runInProcess(args, { cwd: project.root });
  assert.equal(code, 0, `${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

const storeOf = (dataset: string): string => join(project.root, "sealed", dataset);

function versionOf(dataset: string): number {
  const { payload } = JSON.parse(readFileSync(join(storeOf(dataset), "manifest.json"), "utf8")) as {
    payload: string;
  };
  return (JSON.parse(Buffer.from(payload, "base64").toString()) as { version: number }).version;
}

/** That the owner opens the dataset at once, in that version, and leaves the store in order. */
async function opens(dataset: string, version: number, what: string): Promise<void> {
  const shown = await must("data", "open", dataset, "--rows", "1", "--json");
  assert.match(shown, dataset === "people" ? /x0/ : /5000/, what);
  assert.equal(versionOf(dataset), version, what);
  await must("data", "verify", dataset);
}

const PENDING = "/manifest\\.v\\d+\\.[0-9a-f]{64}\\.json$";
const PLACE = "/manifest\\.json$";
const DATA = "/v\\d+/people\\.parquet$";

/** Where a command is killed, and by how much the version that opens is the higher afterwards. */
const KILLS: readonly (readonly [what: string, kill: Kill, step: 0 | 1])[] = [
  ["after the data", { call: "rename", path: DATA, when: "after" }, 0],
  [
    "after the pending manifest, before the broker has it",
    { call: "rename", path: PENDING, when: "after" },
    0,
  ],
  [
    "after the broker accepted, before the manifest is in its place",
    { call: "rename", path: PLACE, when: "before" },
    1,
  ],
  ["after the manifest is in its place", { call: "rename", path: PLACE, when: "after" }, 1],
  ["before the old data go", { call: "unlink", path: DATA, when: "before" }, 1],
  ["before the pending name goes", { call: "unlink", path: PENDING, when: "before" }, 1],
];

describe("T126: kill -9 at any step: the dataset opens, in the old or the new version, without a repair", () => {
  test("data seal", async () => {
    for (const [what, kill, step] of KILLS) {
      const version = versionOf("people");
      killed(kill, "data", "seal", "people");
      await opens("people", version + step, what);
    }
    await must("data", "seal", "people");
  });

  test("data rewrap", async () => {
    for (const [what, kill, step] of KILLS) {
      const version = versionOf("people");
      await must("key", "rotate", "sensitive");
      killed(kill, "data", "rewrap", "people");
      await opens("people", version + step, what);
    }
    const { rewrapped } = JSON.parse(await must("data", "rewrap", "people", "--json")) as {
      rewrapped: { proof: { oldFound: unknown[] } }[];
    };
    assert.deepEqual(rewrapped[0]?.proof.oldFound, []);
  });

  test("ppml run", async () => {
    await must("run", "answer");
    for (const seen of [/^v\d+\/answer-/, /^manifest\.v/, /^manifest\.json$/]) {
      const version = versionOf("answers");
      await killedWhen(seen);
      assert.match(await must("data", "open", "answers", "--json"), /5000/, String(seen));
      await must("data", "verify", "answers");
      const now = versionOf("answers");
      assert.ok(now === version || now === version + 1, `${seen}: v${version}, now v${now}`);
    }
    await must("run", "answer");
  });
});

/** Runs the job, and kills all of its processes as soon as such a file of its store is there or new. */
async function killedWhen(seen: RegExp): Promise<void> {
  const store = storeOf("answers");
  const marks = (): string[] =>
    readdirSync(store, { recursive: true, encoding: "utf8" })
      .filter((name) => seen.test(name))
      .map((name) => `${name} ${digestOf(join(store, name))}`);
  const old = new Set(marks());
  const child = spawn(process.execPath, [MAIN, "run", "answer"], {
    cwd: project.root,
    env: { ...process.env, TMPDIR: project.temporary },
    stdio: "ignore",
  });
  const ended = once(child, "exit");
  while (child.exitCode === null && !marks().some((mark) => !old.has(mark))) await delay(1);
  for (const pid of [...descendants(child.pid ?? 0), child.pid ?? 0])
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      assert.ok(error instanceof Error && "code" in error && error.code === "ESRCH");
    }
  await ended;
}

function digestOf(path: string): string {
  try {
    return readFileSync(path, "base64").slice(0, 2000);
  } catch {
    return "gone";
  }
}

/** The processes that a process has started, and theirs. */
function descendants(pid: number): number[] {
  const { stdout } = spawnSync("ps", ["-eo", "pid=,ppid="], { encoding: "utf8" });
  const pairs = stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  const found = [pid];
  for (const parent of found)
    for (const [child = 0, of] of pairs) if (of === parent) found.push(child);
  return found.slice(1);
}
