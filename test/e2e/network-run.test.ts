import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { makeTestProject } from "./project.ts";
import type { TestProject } from "./project.ts";

const PPML = join(import.meta.dirname, "../../bin/ppml");

let folder: string;
let project: TestProject;
let broker: ChildProcess | null = null;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ppml-network-"));
  const sql = "SELECT count(*) AS rows FROM people";
  project = await makeTestProject({ folder, canary: "x", sql });
});
after(() => {
  broker?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

test("a job attests, gets its keys and posts its receipt over TLS, at a broker that is pinned", async () => {
  const args = ["broker", "serve", "--listen", "127.0.0.1:0", "--log-level", "silent", "--json"];
  const served = spawn(PPML, args, { cwd: project.root, stdio: ["ignore", "pipe", "inherit"] });
  broker = served;
  const [line] = (await once(createInterface(served.stdout), "line")) as [string];
  const { url, spkiSha256 } = JSON.parse(line) as { url: string; spkiSha256: string };
  const other = "ab".repeat(32);
  const refused = await project.runHere("run", "answer", "--broker", url, "--broker-key", other);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /not the pinned one/);
  assert.equal((await project.runHere("run", "answer", "--broker", url)).status, 2);
  const at = ["--broker", url, "--broker-key", spkiSha256];
  const { stdout } = project.must("run", "answer", ...at, "--json");
  const { receipt, rows } = JSON.parse(stdout) as { receipt: string; rows: number };
  assert.equal(rows, 1);
  await project.mustHere("receipt", "verify", receipt);
  await project.mustHere("audit", "verify");
  const exited = once(served, "exit") as Promise<[number | null]>;
  served.kill("SIGTERM");
  assert.deepEqual(await exited, [0, null]);
});
