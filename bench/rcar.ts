/**
 * CoCo's RCAR handshake through the real stack: a broker process on TCP, TLS 1.3 over the loopback, a
 * connection for each guest, and on it auth, attest and one resource, with simulated Evidence. Every
 * handshake writes two entries into the log, each durable before its answer leaves. Guests run in
 * this process and share the machine's cores with the broker.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { simulationPolicy } from "../src/attest/appraise/policy.ts";
import { createSimulationPki } from "../src/attest/sim/pki.ts";
import { simulatedPlatformOf } from "../src/attest/sim/platform.ts";
import type { SimulatedPlatform } from "../src/attest/sim/platform.ts";
import { concatBytes, Secret, sha384, utf8 } from "../src/base/index.ts";
import { createBrokerState } from "../src/broker/create.ts";
import type { ProcessConfig } from "../src/broker/index.ts";
import { rcarRuntimeBytes } from "../src/format/rcar.ts";
import type { RcarTeeKey } from "../src/format/rcar.ts";
import { signingKeyOf } from "../src/format/jwk.ts";
import { signObject } from "../src/format/signed-object.ts";
import { createEmbeddedVault } from "../src/key/embedded/embedded-vault.ts";
import { createRootKeyFile } from "../src/key/root-key.ts";
import { openBrokerClient } from "../src/launch/index.ts";
import { releasePolicyFor } from "../src/release/policy.ts";
import { sealResource } from "../src/seal/seal-resource.ts";
import { single } from "./table.ts";
import type { Figure } from "./table.ts";

const MEASUREMENT = new Uint8Array(48).fill(0xa1);
const PATH = "default/keys/bench";
const GUESTS_AT_ONCE = 16;

type Ready = { readonly ready: boolean; readonly url: string; readonly spkiSha256: string };
type Running = {
  readonly child: ChildProcess;
  readonly port: number;
  readonly ca: string;
  readonly platform: SimulatedPlatform;
};

/** Handshakes a second with many guests at once, and the latency of each. */
export async function benchRcar(options: { readonly quick: boolean }): Promise<readonly Figure[]> {
  const count = options.quick ? 200 : 2000;
  const folder = mkdtempSync(join(tmpdir(), "ppml-bench-rcar-"));
  const broker = await startBroker(folder);
  try {
    await handshakes(broker, { count: count / 10, atOnce: GUESTS_AT_ONCE });
    const alone = await handshakes(broker, { count: count / 10, atOnce: 1 });
    const cpuBefore = cpuMsOf(broker.child);
    const startMs = performance.now();
    const many = await handshakes(broker, { count, atOnce: GUESTS_AT_ONCE });
    const seconds = (performance.now() - startMs) / 1000;
    const cpuMs = (cpuMsOf(broker.child) - cpuBefore) / count;
    const what = (text: string): string => `RCAR, ${GUESTS_AT_ONCE} guests at once: ${text}`;
    return [
      single({ what: what("handshakes a second"), ours: count / seconds, unit: "/s" }),
      single({ what: what("p50 of a handshake"), ours: quantile(many, 0.5), unit: "ms" }),
      single({ what: what("p99 of a handshake"), ours: quantile(many, 0.99), unit: "ms" }),
      single({ what: what("the broker's CPU for one"), ours: cpuMs, unit: "ms" }),
      single({
        what: "RCAR, one guest: p50 of a handshake",
        ours: quantile(alone, 0.5),
        unit: "ms",
      }),
    ];
  } finally {
    broker.child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
}

async function startBroker(folder: string): Promise<Running> {
  const rootKeyFile = join(folder, "root.key");
  await createRootKeyFile({ path: rootKeyFile });
  const vaultPath = join(folder, "vault.db");
  const root = { kind: "file", path: rootKeyFile } as const;
  using vault = await createEmbeddedVault({ path: vaultPath, mode: "simulation", root });
  const kek = await vault.createKek({ name: "guests", kind: "unwrap-only" });
  const owner = signingKeyOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);
  const platform = simulatedPlatformOf(createSimulationPki({ nowMs: Date.now() }));
  const stateDir = join(folder, "broker");
  const kind = { mode: "simulation", simulationRoot: platform.root } as const;
  await createBrokerState({
    dir: stateDir,
    kind,
    owner: owner.publicJwk,
    root: vault.root,
    clock: Date.now,
  });
  const { child, ready } = await startProcess({
    v: 1,
    listen: {
      kind: "tls",
      host: "127.0.0.1",
      port: 0,
      certificate: { kind: "own", folder: join(folder, "tls") },
      secretProvisioning: null,
    },
    stateDir,
    vault: { kind: "embedded", path: vaultPath },
    rootKeyFile,
    collateral: { kind: "none" },
    maaProviders: [],
    logLevel: "warn",
  });
  const { url, spkiSha256 } = ready;
  const client = openBrokerClient({ url, spkiSha256 });
  const policy = {
    v: 1,
    name: "guests",
    version: 1,
    appraisal: simulationPolicy([Buffer.from(MEASUREMENT).toString("hex")]),
    release: releasePolicyFor({
      mode: "simulation",
      measurements: [Buffer.from(MEASUREMENT).toString("hex")],
    }),
    jobs: null,
    resources: [PATH],
    grants: [kek.kekId],
    ownerOpen: [],
  };
  await client.applyPolicy(signObject("policy", policy, owner));
  using content = Secret.take(utf8("a resource of some bytes"));
  const publicKey = await vault.publicKey(kek.kekId);
  const resource = sealResource({ path: PATH, version: 1, content, kek: publicKey });
  await client.putResource(signObject("resource", resource, owner));
  const ca = readFileSync(join(folder, "tls", "broker.crt"), "utf8");
  return { child, port: Number(new URL(url).port), ca, platform };
}

async function startProcess(
  config: ProcessConfig,
): Promise<{ readonly child: ChildProcess; readonly ready: Ready }> {
  const main = join(import.meta.dirname, "../src/broker/main.ts");
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.write(`${JSON.stringify(config)}\n`);
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const ready = JSON.parse(line) as Ready;
  if (!ready.ready) throw new Error(line);
  return { child, ready };
}

/** Runs handshakes, `atOnce` at a time; gives the milliseconds of each. */
async function handshakes(
  broker: Running,
  options: { readonly count: number; readonly atOnce: number },
): Promise<readonly number[]> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { x = "", y = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  const teeKey: RcarTeeKey = { kty: "EC", crv: "P-256", alg: "ECDH-ES+A256KW", x, y };
  const took: number[] = [];
  let left = options.count;
  const guest = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const startMs = performance.now();
      await handshake(broker, teeKey);
      took.push(performance.now() - startMs);
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, guest));
  return took;
}

async function handshake(broker: Running, teeKey: RcarTeeKey): Promise<void> {
  const { port, ca, platform } = broker;
  // A connection of its own, without a session to resume: as guests come.
  const agent = new Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0, ca });
  try {
    const call = (method: string, path: string, options: CallOptions) =>
      ask({ agent, port, method, path, ...options });
    const auth = { version: "0.4.0", tee: "sim-snp", "extra-params": "" };
    const challenge = await call("POST", "/kbs/v0/auth", { cookie: null, body: auth });
    const { nonce } = JSON.parse(challenge.text) as { readonly nonce: string };
    const runtimeData = { nonce, "tee-pubkey": teeKey, "additional-evidence": "" } as const;
    const reportData = concatBytes(sha384(rcarRuntimeBytes(runtimeData)), new Uint8Array(16));
    const { evidence, collateral } = platform.attest({ measurement: MEASUREMENT, reportData });
    const body = {
      "runtime-data": { nonce, "tee-pubkey": teeKey },
      "tee-evidence": { primary_evidence: { evidence, collateral }, additional_evidence: "" },
    };
    const { cookie } = challenge;
    await call("POST", "/kbs/v0/attest", { cookie, body });
    await call("GET", `/kbs/v0/resource/${PATH}`, { cookie, body: null });
  } finally {
    agent.destroy();
  }
}

type CallOptions = { readonly cookie: string | null; readonly body: unknown };

function ask(
  options: CallOptions & {
    readonly agent: Agent;
    readonly port: number;
    readonly method: string;
    readonly path: string;
  },
): Promise<{ readonly text: string; readonly cookie: string }> {
  const { agent, port, method, path, cookie, body } = options;
  const headers = {
    "content-type": "application/json",
    ...(cookie === null ? {} : { cookie }),
  };
  return new Promise((resolve, reject) => {
    const sent = request({ agent, host: "127.0.0.1", port, method, path, headers }, (response) => {
      const chunks: Uint8Array[] = [];
      response.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        const [given = ""] = response.headers["set-cookie"] ?? [];
        if (response.statusCode === 200) resolve({ text, cookie: given.split(";")[0] ?? "" });
        else reject(new Error(`${path}: ${response.statusCode ?? 0} ${text}`));
      });
    });
    sent.on("error", reject);
    sent.end(body === null ? undefined : JSON.stringify(body));
  });
}

/** User and system time of a process so far. @see proc(5): utime and stime, in ticks of 10 ms */
function cpuMsOf(child: ChildProcess): number {
  if (process.platform !== "linux") return Number.NaN;
  const text = readFileSync(`/proc/${child.pid ?? 0}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function quantile(numbers: readonly number[], part: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}
