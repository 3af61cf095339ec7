import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { fromBase64Url, toHex, utf8 } from "../../../src/base/index.ts";
import { verifySimulatedEvidence } from "../../../src/attest/sim/verify-sim.ts";
import { saveSimulationPki } from "../../../src/attest/sim/pki.ts";
import { wireEvidenceSchema } from "../../../src/format/protocol.ts";
import { bootSimulatedTee } from "../../../src/launch/sim/boot.ts";
import { measureImage } from "../../../src/launch/sim/image.ts";
import { buildSnapshot } from "../../../src/launch/sim/snapshot.ts";
import { config, makeRoot, NOW_MS, pki, platform } from "./fixture.ts";

const roots: string[] = [];
after(() => roots.forEach((root) => rmSync(root, { recursive: true, force: true })));

const TELL = `
  import { writeSync } from "node:fs";
  const tell = (value) => writeSync(1, JSON.stringify(value) + "\\n");
`;

/** Boots one entry of this source; resolves to how it ended, its events and where it lay. */
async function boot(
  source: string,
  options: { request?: Uint8Array; timeoutMs?: number; onEvent?: (event: unknown) => void } = {},
) {
  const root = makeRoot({ "src/main.ts": TELL + source });
  roots.push(root);
  await using snapshot = await buildSnapshot({ imageRoot: root, entries: ["main.ts"], config });
  const events: unknown[] = [];
  const started = performance.now();
  const exit = await bootSimulatedTee({
    snapshot,
    platform,
    launchRequest: options.request ?? new Uint8Array(),
    timeoutMs: options.timeoutMs ?? 60_000,
    stop: null,
    onEvent: options.onEvent ?? ((event) => events.push(event)),
  });
  return {
    exit,
    events,
    directory: snapshot.directory,
    ms: performance.now() - started,
  };
}

test("the TEE runs from the snapshot with fixed flags and an empty environment", async () => {
  process.env["NODE_OPTIONS"] = "--no-warnings";
  process.env["PPML_PLANTED"] = "secret";
  try {
    const { exit, events, directory } = await boot(`
      tell({ env: process.env, execPath: process.execPath, execArgv: process.execArgv, cwd: process.cwd(), file: import.meta.filename });
    `);
    assert.deepEqual(exit, { exitCode: 0, signal: null, timedOut: false, stderr: "" });
    assert.deepEqual(events, [
      {
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
        execPath: join(directory, "node"),
        execArgv: ["--disable-warning=ExperimentalWarning", "--disable-sigusr1"],
        cwd: directory,
        file: join(directory, "src/main.ts"),
      },
    ]);
  } finally {
    delete process.env["NODE_OPTIONS"];
    delete process.env["PPML_PLANTED"];
  }
});

test("the TEE reads its whole request, then the end", async () => {
  const request = utf8(`"${"x".repeat(3_000_000)}"`);
  const { events } = await boot(
    `
    import { readFileSync } from "node:fs";
    tell(readFileSync(0).length);
    tell(readFileSync("config.json", "utf8"));
  `,
    { request },
  );
  assert.deepEqual(events, [3_000_002, '{"v":1}']);
});

test("Evidence binds the TEE's report data and the measurement that was taken of the snapshot", async () => {
  const sim = fileURLToPath(new URL("../../../", import.meta.url));
  const root = makeRoot({
    "src/main.ts": `${TELL}
import { openSimChannelAttester } from "./attest/collect/sim-channel.ts";
      const attester = openSimChannelAttester(3);
      const all = [1, 2, 3].map((n) => attester.attest(new Uint8Array(64).fill(n)));
      for (const evidence of all) tell(await evidence);
      await attester.attest(new Uint8Array(63)).catch((error) => tell(error.message));
      tell(await attester.attest(new Uint8Array(64).fill(4)));
      await new Promise((resolve) => setTimeout(resolve, 20));
    `,
  });
  roots.push(root);
  // The collector itself, at the place that it has in a clone.
  for (const folder of ["attest", "base", "format"])
    cpSync(join(sim, "src", folder), join(root, "src", folder), { recursive: true });
  symlinkSync(join(sim, "node_modules"), join(root, "node_modules"));
  const image = { imageRoot: root, entries: ["main.ts"], config };
  await using snapshot = await buildSnapshot(image);
  const events: unknown[] = [];
  const exit = await bootSimulatedTee({
    snapshot,
    platform,
    launchRequest: new Uint8Array(),
    timeoutMs: 60_000,
    stop: null,
    onEvent: (event) => events.push(event),
  });
  assert.equal(exit.exitCode, 0, exit.stderr);
  const { measurement } = await measureImage(image);
  assert.match(String(events[3]), /the simulated platform refused/);
  for (const [index, fill] of [
    [0, 1],
    [1, 2],
    [2, 3],
    [4, 4],
  ] as const) {
    const { evidence } = verifySimulatedEvidence(wireEvidenceSchema.parse(events[index]), {
      simulationRoot: platform.root,
      nowMs: NOW_MS,
    });
    assert.equal(toHex(evidence.report.measurement), toHex(measurement));
    assert.deepEqual(evidence.report.reportData, new Uint8Array(64).fill(fill));
  }
});

describe("the attestation channel", () => {
  const ASK = `
    import { Socket } from "node:net";
    const socket = new Socket({ fd: 3 });
    socket.on("error", () => {});
    let text = "";
    socket.on("data", (data) => { text += data; });
    const closed = new Promise((resolve) => socket.on("close", resolve));
  `;

  test("answers what is no request with an error and goes on", async () => {
    const good = JSON.stringify({ reportData: "A".repeat(86) });
    const claims = JSON.stringify({ reportData: "A".repeat(86), measurement: "B".repeat(64) });
    const lines = ["garbage", "{}", '{"reportData":1}', claims, "\u0000", good];
    const { events } = await boot(`${ASK}
      for (const line of ${JSON.stringify(lines)}) socket.write(line + "\\n");
      while (text.split("\\n").length < 7) await new Promise((resolve) => setTimeout(resolve, 5));
      socket.destroy();
      for (const line of text.trim().split("\\n")) tell(JSON.parse(line));
    `);
    assert.equal(events.length, 6);
    for (const event of events.slice(0, 5))
      assert.deepEqual(event, { error: 'expected {"reportData": 64 bytes in base64url}' });
    const { evidence } = z.object({ evidence: wireEvidenceSchema }).parse(events[5]).evidence;
    assert.equal(fromBase64Url(evidence).byteLength, 1184);
  });

  test("closes on a line without end, while the TEE goes on", async () => {
    const { exit, events } = await boot(`${ASK}
      socket.write("x".repeat(100_000));
      await closed;
      tell("closed");
    `);
    assert.equal(exit.exitCode, 0, exit.stderr);
    assert.deepEqual(events, ["closed"]);
  });
});

describe("a TEE that misbehaves", () => {
  test("with a line that is no event fails without quoting it", async () => {
    await assert.rejects(
      boot('tell(1); writeSync(1, "the secret\\n"); setTimeout(() => {}, 60_000);'),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, "launch.failed");
        assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /secret/);
        return true;
      },
    );
  });

  test("with a line over 16 MiB is ended", async () => {
    const endless = "const a = Buffer.alloc(1 << 20, 0x61); for (;;) writeSync(1, a);";
    await assert.rejects(boot(endless), { code: "launch.failed", message: /over 16777216 bytes/ });
  });

  test("that ends in the middle of an event has failed", async () => {
    await assert.rejects(boot('writeSync(1, "{");'), { code: "launch.failed" });
  });

  test("that ends with another code is told as such, with the first 64 KiB of its stderr", async () => {
    const { exit } = await boot(`
      writeSync(2, "why ".repeat(50_000)); process.exitCode = 7;`);
    assert.equal(exit.exitCode, 7);
    assert.equal(exit.stderr.length, 65_536);
    assert.ok(exit.stderr.startsWith("why why"));
  });

  test("that does not end is ended with all that it started, after its time", async () => {
    const { exit, events, ms } = await boot(
      `
      import { spawn } from "node:child_process";
      const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60_000)"], { stdio: "inherit" });
      tell(child.pid);
      setTimeout(() => {}, 60_000);`,
      { timeoutMs: 1500 },
    );
    assert.equal(exit.timedOut, true);
    assert.equal(exit.signal, "SIGKILL");
    assert.ok(ms < 20_000);
    await assertGone(Number(events[0]));
  });

  test("that ends leaves nothing running that holds its output", async () => {
    const { exit, events, ms } = await boot(`
      import { spawn } from "node:child_process";
      const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60_000)"], { stdio: "inherit" });
      child.unref();
      tell(child.pid);`);
    assert.equal(exit.exitCode, 0);
    assert.ok(ms < 20_000);
    await assertGone(Number(events[0]));
  });
});

test("an error of the receiver of events ends the TEE and comes out", async () => {
  await assert.rejects(
    boot("tell(1); setTimeout(() => {}, 60_000);", {
      onEvent: () => {
        throw new Error("no more");
      },
    }),
    /no more/,
  );
});

test("the TEE ends when its parent is told to by a signal", async () => {
  const root = makeRoot({
    "src/main.ts": `${TELL} tell(process.pid); setTimeout(() => {}, 60_000);`,
  });
  roots.push(root);
  const platformDirectory = join(root, "platform");
  saveSimulationPki(pki, platformDirectory);
  const script = `
    import { bootSimulatedTee } from ${moduleUrl("launch/sim/boot.ts")};
    import { buildSnapshot } from ${moduleUrl("launch/sim/snapshot.ts")};
    import { openSimulatedPlatform } from ${moduleUrl("attest/sim/platform.ts")};
    const snapshot = await buildSnapshot({ imageRoot: ${JSON.stringify(root)}, entries: ["main.ts"], config: new Uint8Array() });
    await bootSimulatedTee({ snapshot, platform: openSimulatedPlatform(${JSON.stringify(platformDirectory)}),
      launchRequest: new Uint8Array(), timeoutMs: 60_000, stop: null, onEvent: (event) => console.log(event) });`;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = await new Promise<number>((resolve) => {
    parent.stdout.once("data", (data: Buffer) => resolve(Number(data.toString())));
  });
  const ended = new Promise((resolve) => parent.once("exit", (_code, signal) => resolve(signal)));
  parent.kill("SIGTERM");
  assert.equal(await ended, "SIGTERM");
  await assertGone(pid);
});

function moduleUrl(path: string): string {
  return JSON.stringify(new URL(`../../../src/${path}`, import.meta.url).href);
}

async function assertGone(pid: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (!isRunning(pid)) return;
    await sleep(25);
  }
  assert.fail(`process ${pid} still runs`);
}

/** A killed process whose end nobody waits for stays as a zombie: it does not run. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync("/proc") || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
