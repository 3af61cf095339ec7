import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { PPML, ppml, temporaryFolder } from "./ppml.ts";

type Ready = {
  readonly simulated: boolean;
  readonly proxy: string;
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly pid: number;
};

/** Starts `ppml twin up` and gives what its line says. */
async function up(
  context: TestContext,
  dir: string,
): Promise<{ readonly child: ChildProcess; readonly ready: Ready }> {
  const child = spawn(PPML, ["twin", "up", "--dir", dir, "--json"], {
    stdio: ["ignore", "pipe", "ignore"],
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"] },
  });
  context.after(() => void child.kill("SIGKILL"));
  assert.ok(child.stdout);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { child, ready: JSON.parse(line.toString()) as Ready };
}

test("ppml twin up is ready within three seconds of a CPU, says that it is simulated, and is one a folder", async (t) => {
  const dir = join(temporaryFolder(t), "twin");
  const { ready } = await up(t, dir);
  assert.equal(ready.simulated, true);
  // The CPU's time, not the clock's: other tests run beside this one. Fields 14 and 15, in hundredths.
  const fields = readFileSync(`/proc/${ready.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const seconds = (Number(fields[11]) + Number(fields[12])) / 100;
  assert.ok(seconds > 0 && seconds < 3, `${seconds} s`);
  const second = await ppml(["twin", "up", "--dir", dir, "--json"]);
  assert.equal(second.code, 1);
  const { error } = JSON.parse(second.stdout) as { error: { code: string; message: string } };
  assert.equal(error.code, "twin.held");
  assert.match(error.message, new RegExp(`process ${ready.pid}\\)`));
});

test("a twin that was killed starts again with its state and its port", async (t) => {
  const dir = join(temporaryFolder(t), "twin");
  const first = await up(t, dir);
  const ended = once(first.child, "close");
  process.kill(first.ready.pid, "SIGKILL");
  await ended;
  const dead = await ppml(["twin", "status", "--dir", dir]);
  assert.equal(dead.code, 1);
  assert.match(dead.stdout, /runs +no/);
  const again = await up(t, dir);
  assert.equal(again.ready.tenantId, first.ready.tenantId);
  assert.equal(again.ready.proxy, first.ready.proxy);
  const alive = await ppml(["twin", "status", "--dir", dir, "--json"]);
  assert.equal(alive.code, 0);
  assert.equal((JSON.parse(alive.stdout) as { pid: number }).pid, again.ready.pid);
  const closing = once(again.child, "close");
  process.kill(again.ready.pid, "SIGTERM");
  const [code] = (await closing) as [number | null];
  assert.equal(code, 0);
});

test("ppml twin exec gives the command's exit code, its output and the twin's environment", async (t) => {
  const dir = join(temporaryFolder(t), "twin");
  const run = await ppml(
    [
      "twin",
      "exec",
      "--dir",
      dir,
      "--",
      "sh",
      "-c",
      'echo "$HTTPS_PROXY $AZURE_CLIENT_SECRET$NO_PROXY"; exit 7',
    ],
    { env: { AZURE_CLIENT_SECRET: "the person's own", NO_PROXY: "*" } },
  );
  assert.equal(run.code, 7, run.stderr);
  assert.match(run.stdout, /^http:\/\/127\.0\.0\.1:\d+ 127\.0\.0\.1,localhost\n$/);
  const stopped = await ppml(["twin", "status", "--dir", dir]);
  assert.equal(stopped.code, 1, "the twin ended with its command");
  const missing = await ppml(["twin", "exec", "--dir", dir, "--", "no-such-program"]);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /no-such-program cannot be run/);
});

test("ppml twin exec uses the twin that runs, and passes signals on", async (t) => {
  const folder = temporaryFolder(t);
  const dir = join(folder, "twin");
  const { ready } = await up(t, dir);
  const same = await ppml(["twin", "exec", "--dir", dir, "--", "sh", "-c", "echo $HTTPS_PROXY"]);
  assert.equal(same.stdout.trim(), ready.proxy);
  const mark = join(folder, "started");
  const child = spawn(
    PPML,
    ["twin", "exec", "--dir", dir, "--", "sh", "-c", `touch '${mark}'; exec sleep 60`],
    { stdio: "ignore" },
  );
  t.after(() => void child.kill("SIGKILL"));
  while (!existsSync(mark)) await sleep(20);
  const ended = once(child, "close");
  child.kill("SIGTERM");
  const [code] = (await ended) as [number | null];
  assert.equal(code, 143);
});

test("ppml twin env prints what a shell can take, where a twin runs", async (t) => {
  const dir = join(temporaryFolder(t), "it's a twin");
  const none = await ppml(["twin", "env", "--dir", dir]);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /no twin runs in .*ppml twin up/);
  const { ready } = await up(t, dir);
  const said = await ppml(["twin", "env", "--dir", dir]);
  const child = spawn("sh", ["-c", `${said.stdout}\necho "$HTTPS_PROXY $NODE_EXTRA_CA_CERTS"`]);
  const [output] = (await once(child.stdout, "data")) as [Buffer];
  assert.equal(output.toString(), `${ready.proxy} ${join(dir, "tls", "ca.pem")}\n`);
});

test("ppml twin fault makes a running twin fail that many calls, and refuses nonsense", async (t) => {
  const dir = join(temporaryFolder(t), "twin");
  await up(t, dir);
  const url = "https://login.microsoftonline.com/common/discovery/instance";
  const get = async (): Promise<string> => {
    const run = await ppml([
      "twin",
      "exec",
      "--dir",
      dir,
      "--",
      process.execPath,
      "-e",
      getProgram(url),
    ]);
    return run.stdout.trim();
  };
  const set = "twin fault --service entra --method get --path /common/ --status 429 --count 2";
  const fault = await ppml([...set.split(" "), "--retry-after", "7", "--dir", dir]);
  assert.equal(fault.code, 0, fault.stderr);
  assert.deepEqual([await get(), await get(), await get()], ["429 7", "429 7", "200 null"]);
  for (const bad of [
    "--service entra --status 200",
    "--service entra --status nosuch",
    "--service nosuch --status 429",
    "--service entra --status 429 --count 0",
  ]) {
    const refused = await ppml(["twin", "fault", ...bad.split(" "), "--dir", dir]);
    assert.equal(refused.code, 2, bad);
  }
  const path = await ppml(
    "twin fault --service entra --status 429 --path ( --dir".split(" ").concat(dir),
  );
  assert.equal(path.code, 1);
  assert.match(path.stderr, /twin\.fault/);
});

function getProgram(url: string): string {
  return `fetch("${url}").then((r) => console.log(r.status, r.headers.get("retry-after")))`;
}
