import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { simulationPolicy } from "../../../../src/attest/index.ts";
import { openSimulatedPlatform } from "../../../../src/attest/sim/platform.ts";
import { fromUtf8 } from "../../../../src/base/index.ts";
import { openBrokerClient } from "../../../../src/launch/index.ts";
import { releasePolicyFor } from "../../../../src/release/index.ts";
import {
  handshake,
  openAnswer,
  resource,
  simulatedGuest,
  tlsChannel,
} from "../../../broker/rcar/guest.ts";
import { PPML, runInProcess } from "../../ppml.ts";
import type { Run } from "../../ppml.ts";

const MEASUREMENT = "a1".repeat(48);
const PATH = "default/passwords/db";

let root: string;
const run = (...args: readonly string[]): Promise<Run> => runInProcess(args, { cwd: root });
const must = async (...args: readonly string[]): Promise<Run> => {
  const done = await run(...args);
  assert.equal(done.code, 0, `ppml ${args.join(" ")}: ${done.stderr}`);
  return done;
};
const json = async (...args: readonly string[]): Promise<Record<string, unknown>> =>
  JSON.parse((await must(...args, "--json")).stdout) as Record<string, unknown>;

before(async () => {
  root = await mkdtemp(join(tmpdir(), "ppml-serve-"));
  await must("init", ".", "--template", "empty", "--name", "guests");
  await must("key", "create", "guests");
  const { kek } = (await json("key", "show", "guests")) as { readonly kek: { kekId: string } };
  mkdirSync(join(root, "policies"), { recursive: true });
  const policy = {
    v: 1,
    name: "guests",
    appraisal: simulationPolicy([MEASUREMENT]),
    release: releasePolicyFor({ mode: "simulation", measurements: [MEASUREMENT] }),
    jobs: null,
    resources: [PATH],
    grants: [kek.kekId],
    ownerOpen: [],
  };
  writeFileSync(join(root, "policies", "guests.json"), JSON.stringify(policy));
  const yaml = readFileSync(join(root, "ppml.yaml"), "utf8").replace(/^policies:.*\n/m, "");
  writeFileSync(join(root, "ppml.yaml"), yaml);
  appendFileSync(
    join(root, "ppml.yaml"),
    "\npolicies:\n  guests: { file: policies/guests.json }\n",
  );
  await must("policy", "apply");
});
const children = new Set<ChildProcess>();
after(async () => {
  // A test that failed may have left its broker.
  for (const child of children) child.kill("SIGKILL");
  await rm(root, { recursive: true, force: true });
});

type Ready = {
  readonly url: string;
  readonly spkiSha256: string;
  readonly mode: string;
  readonly ready: boolean;
};

type Served = {
  readonly child: ChildProcess;
  readonly rest: Promise<string>;
  readonly ready: Ready;
};

async function serve(...args: readonly string[]): Promise<Served> {
  const child = spawn(
    PPML,
    ["broker", "serve", "--listen", "127.0.0.1:0", "--log-level", "silent", "--json", ...args],
    { cwd: root, stdio: ["ignore", "pipe", "inherit"] },
  );
  children.add(child);
  child.once("exit", () => children.delete(child));
  assert.ok(child.stdout);
  const lines = createInterface(child.stdout);
  const [line] = (await once(lines, "line")) as [string];
  const rest = text(child.stdout);
  return { child, rest, ready: JSON.parse(line) as Ready };
}

async function stop({ child }: Served, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, "exit") as Promise<[number | null]>;
  child.kill(signal);
  return (await exited)[0];
}

describe("ppml broker", () => {
  test("resources are put, listed by path and version alone, and removed", async () => {
    const file = join(root, "secret.txt");
    writeFileSync(file, "first");
    const put = ["broker", "resource", "put", PATH, "--file", file, "--kek", "guests"];
    await must(...put);
    writeFileSync(file, "open sesame");
    const { resource: second } = (await json(...put)) as { resource: { version: number } };
    assert.equal(second.version, 2);
    const other = "default/passwords/gone";
    await must("broker", "resource", "put", other, "--file", file, "--kek", "guests");
    await must("broker", "resource", "remove", other);
    const again = await run("broker", "resource", "remove", other);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /broker\.resource/);
    const { stdout } = await must("broker", "resource", "list");
    assert.match(stdout, /default\/passwords\/db +2/);
    assert.match(stdout, /default\/passwords\/gone +2 +\(removed\)/);
    assert.doesNotMatch(stdout, /sesame/);
    const bad = await run("broker", "resource", "put", "../x/y", "--file", file, "--kek", "guests");
    assert.equal(bad.code, 2);
    writeFileSync(file, "");
    assert.equal((await run(...put)).code, 1);
    writeFileSync(file, "open sesame");
  });

  test("a guest gets its resource from a served broker, and SIGTERM ends it with exit code 0", async () => {
    const served = await serve();
    const { url, spkiSha256, mode } = served.ready;
    assert.equal(mode, "simulation");
    const client = openBrokerClient({ url, spkiSha256 });
    assert.equal((await client.info()).mode, "simulation");
    const platform = openSimulatedPlatform(join(root, ".ppml", "sim"));
    const ca = readFileSync(join(root, ".ppml", "tls", "broker.crt"), "utf8");
    const guest = simulatedGuest({
      channel: tlsChannel({ port: Number(new URL(url).port), ca }),
      report: (reportData) =>
        platform.attest({
          measurement: new Uint8Array(Buffer.from(MEASUREMENT, "hex")),
          reportData,
        }),
    });
    const { cookie } = await handshake(guest);
    const reply = await resource(guest, PATH, { cookie });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(fromUtf8(openAnswer(guest.key, reply)), "open sesame");
    // The owner's commands go on beside it, and it sees what they change.
    await must("broker", "resource", "remove", PATH);
    assert.equal((await resource(guest, PATH, { cookie })).status, 401);
    assert.equal(await stop(served, "SIGTERM"), 0);
    assert.equal(await served.rest, "");
    const log = await must("audit", "tail");
    assert.match(log.stdout, /released the resource default\/passwords\/db to the guest/);
    assert.equal(statSync(join(root, ".ppml", "tls", "broker.key")).mode & 0o777, 0o600);
  });

  test("the pinned key stays over a restart; SIGINT ends it too", async () => {
    const one = await serve();
    assert.equal(await stop(one, "SIGINT"), 0);
    const two = await serve();
    assert.equal(two.ready.spkiSha256, one.ready.spkiSha256);
    assert.equal(await stop(two, "SIGTERM"), 0);
  });

  test("flags that do not belong together, and a taken port, are refused with one error", async () => {
    const at = ["broker", "serve", "--listen", "127.0.0.1:0"];
    for (const flags of [
      ["--tls-cert", "x.pem"],
      ["--kds", "https://kds.example"],
      ["--pccs", "intel", "--collateral", "x.json"],
    ])
      assert.equal((await run(...at, ...flags)).code, 2, flags.join(" "));
    assert.equal((await run("broker", "serve", "--listen", "8443")).code, 2);
    const http = await run(...at, "--pccs", "http://pccs.example", "--json");
    assert.match(http.stdout, /config\.invalid/);
    const served = await serve();
    const port = new URL(served.ready.url).port;
    const taken = await run("broker", "serve", "--listen", `127.0.0.1:${port}`);
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /cannot be listened on/);
    assert.equal(await stop(served, "SIGTERM"), 0);
  });
});
