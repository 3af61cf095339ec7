import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { release } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, describe, test } from "node:test";
import { cleanEnvironment, makeSandbox, probeIsolation } from "../../src/compute/sandbox.ts";
import { makeScratch } from "./fixture.ts";

const scratch = makeScratch();
after(() => {
  scratch[Symbol.dispose]();
});
const isolation = probeIsolation();
const MIB = 1024 * 1024;

type Ended = { readonly status: number | string | null; readonly stdout: string };

/** Runs a program in a sandbox of its own, or plainly: what it could do without one. */
async function run(
  program: string,
  args: readonly string[],
  options: { readonly sandboxed: boolean; readonly cwd?: string },
): Promise<Ended & { readonly workDirectory: string }> {
  using sandbox = makeSandbox({ mode: "production", isolation, tmpfsBytes: 16 * MIB });
  const { file, args: all } = options.sandboxed
    ? sandbox.command(program, args)
    : { file: program, args: [...args] };
  const child = spawn(file, all, {
    cwd: options.cwd ?? scratch.path,
    env: cleanEnvironment([], process.env),
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 30_000,
  });
  const [stdout, [code, signal]] = await Promise.all([
    text(child.stdout),
    once(child, "close") as Promise<[number | null, string | null]>,
  ]);
  return { status: signal ?? code, stdout, workDirectory: sandbox.workDirectory };
}

const node = (
  code: string,
  sandboxed: boolean,
): Promise<Ended & { readonly workDirectory: string }> =>
  run(process.execPath, ["--input-type=module", "-e", code], { sandboxed });

describe("the worker's sandbox", { skip: process.platform !== "linux" && "Linux only" }, () => {
  test("a sandboxed program reaches no listener of this machine, which it reaches without", async () => {
    let reached = 0;
    const server = createServer((socket) => {
      reached += 1;
      socket.end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const connect = `
      import { connect } from "node:net";
      const socket = connect(${port}, "127.0.0.1");
      socket.on("connect", () => { console.log("connected"); socket.destroy(); });
      socket.on("error", (error) => console.log(error.code));`;
    try {
      assert.equal((await node(connect, false)).stdout, "connected\n");
      assert.equal(reached, 1);
      const { stdout } = await node(connect, true);
      assert.match(stdout, /^(?:ECONNREFUSED|ENETUNREACH|EADDRNOTAVAIL)\n$/);
      assert.equal(reached, 1);
    } finally {
      server.close();
    }
  });

  test("a sandboxed program has no network interface that is up, and no route out", async () => {
    const look = `
      import { networkInterfaces } from "node:os";
      import { createSocket } from "node:dgram";
      const socket = createSocket("udp4");
      socket.send("x", 53, "192.0.2.1", (error) => {
        console.log(JSON.stringify({ up: Object.keys(networkInterfaces()), error: error?.code ?? null }));
        socket.close();
      });`;
    const { stdout } = await node(look, true);
    assert.deepEqual(JSON.parse(stdout), { up: [], error: "ENETUNREACH" });
  });

  test("a sandboxed program that crashes leaves no core dump, and cannot allow itself one", async () => {
    const crash = "ulimit -c unlimited 2>/dev/null; kill -ABRT $$";
    const pattern = readFileSync("/proc/sys/kernel/core_pattern", "utf8").trim();
    const plain = join(scratch.path, "plain");
    const shut = join(scratch.path, "shut");
    for (const folder of [plain, shut]) mkdirSync(folder);
    const crashed = await run("/bin/sh", ["-c", crash], { sandboxed: false, cwd: plain });
    assert.equal(crashed.status, "SIGABRT");
    // The control: where the kernel writes cores as files and lets us, this very crash leaves one.
    const hard = /^Max core file size\s+\S+\s+(\S+)/m.exec(
      readFileSync("/proc/self/limits", "utf8"),
    );
    if (/^core(?:\.%p)?$/.test(pattern) && hard?.[1] === "unlimited")
      assert.notDeepEqual(readdirSync(plain), []);
    const inside = await run("/bin/sh", ["-c", crash], { sandboxed: true, cwd: shut });
    assert.ok(inside.status === "SIGABRT" || inside.status === 134, String(inside.status));
    assert.deepEqual(readdirSync(shut), []);
    const { stdout } = await run("/bin/cat", ["/proc/self/limits"], { sandboxed: true });
    assert.match(stdout, /^Max core file size +0 +0 +bytes/m);
  });

  test("a sandboxed program has no capabilities and can gain none", async () => {
    const { stdout } = await run("/bin/cat", ["/proc/self/status"], { sandboxed: true });
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd"])
      assert.match(stdout, new RegExp(`^${set}:\\s+0{16}$`, "m"), stdout);
    assert.match(stdout, /^NoNewPrivs:\s+1$/m);
  });

  test("what a sandboxed program writes in its work directory is seen by nobody and ends with it", async () => {
    const write = 'echo secret > "$1/file"; cat "$1/file"; grep -c " $1 tmpfs " /proc/mounts';
    using sandbox = makeSandbox({ mode: "production", isolation, tmpfsBytes: 16 * MIB });
    const { file, args } = sandbox.command("/bin/sh", ["-c", write, "sh", sandbox.workDirectory]);
    const child = spawn(file, args, {
      env: cleanEnvironment([], process.env),
      stdio: ["ignore", "pipe", "inherit"],
      timeout: 30_000,
    });
    assert.equal(await text(child.stdout), "secret\n1\n");
    assert.equal(existsSync(join(sandbox.workDirectory, "file")), false);
  });

  test("the work directory has huge pages where the kernel has them, and no swap where root mounts it", async () => {
    const { stdout } = await run("/bin/cat", ["/proc/mounts"], { sandboxed: true });
    const mount = stdout.split("\n").find((line) => line.startsWith("ppml /dev/shm/"));
    const kernelHasThem = existsSync("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    assert.equal(mount?.includes("huge=within_size"), kernelHasThem, mount);
    const [major = 0, minor = 0] = release().split(".").map(Number);
    const kernelHasNoSwap = major > 6 || (major === 6 && minor >= 4);
    if (isolation === "namespaces") assert.equal(mount?.includes("noswap"), kernelHasNoSwap, mount);
  });

  test("a sandboxed program sees no variable that the job does not list", async () => {
    const clean = cleanEnvironment(["LISTED"], { LISTED: "yes", NODE_OPTIONS: "x", SECRET: "no" });
    assert.deepEqual(Object.keys(clean).sort(), ["LANG", "LISTED", "PATH", "TZ"]);
    const { stdout } = await run("/usr/bin/env", [], { sandboxed: true });
    assert.doesNotMatch(stdout, /^(?:NODE_|LD_|HOME=|PPML)/m);
  });
});

test("production makes no sandbox where the kernel allows no namespaces", () => {
  assert.throws(() => makeSandbox({ mode: "production", isolation: "none", tmpfsBytes: MIB }), {
    code: "launch.isolation",
  });
});
