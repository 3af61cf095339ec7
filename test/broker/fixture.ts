import { generateKeyPairSync, randomBytes } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hono } from "hono";
import { createSimulationPki } from "../../src/attest/sim/pki.ts";
import { simulatedPlatformOf } from "../../src/attest/sim/platform.ts";
import type { SimulatedPlatform } from "../../src/attest/sim/platform.ts";
import { simulationPolicy } from "../../src/attest/appraise/policy.ts";
import { sha256, toBase64Url, toHex, toTimestamp, utf8 } from "../../src/base/index.ts";
import type { Secret } from "../../src/base/index.ts";
import { createBrokerApp } from "../../src/broker/broker-app.ts";
import type { BrokerState, MaaProvidersFor } from "../../src/broker/broker-state.ts";
import { sentCollateral } from "../../src/broker/collateral.ts";
import { createBrokerState, openBrokerState } from "../../src/broker/create.ts";
import { noMaaProviders } from "../../src/broker/maa-providers.ts";
import type { Job } from "../../src/format/job.ts";
import { ecPublicJwkOf, jwkThumbprint, signingKeyOf } from "../../src/format/jwk.ts";
import type { SigningKey } from "../../src/format/jwk.ts";
import type { KekInfo, Vault } from "../../src/key/vault.ts";
import type { WrappedLocalKey } from "../../src/format/kek.ts";
import { manifestRoot } from "../../src/format/manifest.ts";
import type { Manifest } from "../../src/format/manifest.ts";
import type { ReleaseRequest, WireEvidence } from "../../src/format/protocol.ts";
import { reportDataOf } from "../../src/format/runtime-data.ts";
import type { RuntimeData } from "../../src/format/runtime-data.ts";
import { envelopeDigest, signObject } from "../../src/format/signed-object.ts";
import type { Envelope } from "../../src/format/signed-object.ts";
import { createEmbeddedVault, openEmbeddedVault } from "../../src/key/embedded/embedded-vault.ts";
import type { EmbeddedVault } from "../../src/key/embedded/embedded-vault.ts";
import { kekThumbprint } from "../../src/key/public-key.ts";
import { createRootKeyFile } from "../../src/key/root-key.ts";
import { makeLocalKey, wrapLocalKey } from "../../src/key/wrap.ts";
import { releasePolicyFor } from "../../src/release/policy.ts";
import type { Policy } from "../../src/release/policy.ts";

export const NOW_MS = Date.UTC(2026, 10, 24, 12);
export const MEASUREMENT = "a1".repeat(48);
export const SQL_DIGEST = toHex(sha256(utf8("SELECT 1")));
export const PURPOSE = "monthly delays";
export const INPUT_DATASET = "11".repeat(16);
export const OUTPUT_DATASET = "22".repeat(16);

/** Fresh P-256 key that signs. */
export function newSigningKey(): SigningKey {
  return signingKeyOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);
}

/** A TEE's two keys. */
export type Tee = { readonly encryption: KeyObject; readonly signing: SigningKey };

export function newTee(): Tee {
  const encryption = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  return { encryption, signing: newSigningKey() };
}

/** A broker in a folder of its own, with a vault of three KEKs, an owner and a simulated platform. */
export type Fixture = {
  readonly dir: string;
  readonly vault: EmbeddedVault;
  readonly keks: { readonly open: KekInfo; readonly secret: KekInfo; readonly result: KekInfo };
  readonly resultThumbprint: string;
  readonly owner: SigningKey;
  readonly simulationRoot: Uint8Array;
  readonly state: BrokerState;
  readonly app: Hono;
  readonly failures: unknown[];
  /** Moves the broker's clock. */
  readonly time: { nowMs: number };
  readonly attest: (runtimeData: RuntimeData, measurement?: string) => WireEvidence;
  /** The simulated machine itself. */
  readonly platform: SimulatedPlatform;
  /** A second broker process's view of the same files. */
  readonly openAgain: (
    vault?: Vault,
  ) => Promise<{ readonly state: BrokerState; readonly app: Hono }>;
  readonly dispose: () => Promise<void>;
};

const sharedPki = createSimulationPki({ nowMs: NOW_MS });

/** The files of the vault that was made first, by its mode: making its RSA keys takes half a second. */
const made = new Map<string, { readonly root: Uint8Array; readonly vault: Uint8Array }>();

/** A vault of its own for each fixture; its keys are the same for all of a test file. */
async function openVault(dir: string, mode: "simulation" | "production"): Promise<EmbeddedVault> {
  const path = join(dir, "vault.db");
  const root = { kind: "file", path: join(dir, "root.key") } as const;
  const files = made.get(mode);
  if (files !== undefined) {
    writeFileSync(root.path, files.root, { mode: 0o600 });
    writeFileSync(path, files.vault, { mode: 0o600 });
    return openEmbeddedVault({ path, root });
  }
  await createRootKeyFile({ path: root.path });
  const vault = await createEmbeddedVault({ path, mode, root });
  await Promise.all(
    ["ordinary", "sensitive", "results"].map((name) =>
      vault.createKek({ name, kind: "unwrap-only" }),
    ),
  );
  made.set(mode, { root: readFileSync(root.path), vault: readFileSync(path) });
  return vault;
}

function kekNamed(keks: readonly KekInfo[], name: string): KekInfo {
  const found = keks.find((kek) => kek.name === name);
  if (found === undefined) throw new Error(`the vault has no ${name}`);
  return found;
}

export async function makeFixture(
  mode: "simulation" | "production" = "simulation",
  options: {
    /** Another root than that of the fixture's simulated machine. */
    readonly simulationRoot?: Uint8Array;
    readonly maaProviders?: MaaProvidersFor;
  } = {},
): Promise<Fixture> {
  const dir = await mkdtemp(join(tmpdir(), "ppml-broker-"));
  const vault = await openVault(dir, mode);
  const keks = await vault.listKeks();
  const [open, secret, result] = [
    kekNamed(keks, "ordinary"),
    kekNamed(keks, "sensitive"),
    kekNamed(keks, "results"),
  ];
  const owner = newSigningKey();
  const platform = simulatedPlatformOf(sharedPki);
  const time = { nowMs: NOW_MS };
  const clock = (): number => time.nowMs;
  const state0 = join(dir, "broker");
  await createBrokerState({
    dir: state0,
    kind:
      mode === "simulation"
        ? { mode, simulationRoot: options.simulationRoot ?? platform.root }
        : { mode, simulationRoot: null },
    owner: owner.publicJwk,
    root: vault.root,
    clock,
  });
  const failures: unknown[] = [];
  const states: BrokerState[] = [];
  const openAgain = async (other: Vault = vault): ReturnType<Fixture["openAgain"]> => {
    const state = await openBrokerState({
      dir: state0,
      vault: other,
      root: vault.root,
      clock,
      complete: sentCollateral,
      maaProviders: options.maaProviders ?? noMaaProviders,
    });
    states.push(state);
    const logger = { call: () => undefined, failure: (error: unknown) => failures.push(error) };
    return { state, app: createBrokerApp({ state, logger }) };
  };
  const { state, app } = await openAgain();
  return {
    dir,
    vault,
    keks: { open, secret, result },
    resultThumbprint: kekThumbprint((await vault.publicKey(result.kekId)).jwk),
    owner,
    simulationRoot: platform.root,
    platform,
    state,
    app,
    failures,
    time,
    attest: (runtimeData, measurement = MEASUREMENT) =>
      platform.attest({
        measurement: new Uint8Array(Buffer.from(measurement, "hex")),
        reportData: reportDataOf(runtimeData),
      }),
    openAgain,
    dispose: async () => {
      for (const each of states) each.db[Symbol.dispose]();
      vault[Symbol.dispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** The policy of the fixture's jobs: the ordinary KEK and the result KEK, one query, one purpose. */
export function policyOf(fixture: Fixture, changes: Partial<Policy> = {}): Policy {
  return {
    v: 1,
    name: "analysis",
    version: 1,
    appraisal: simulationPolicy([MEASUREMENT]),
    release: releasePolicyFor({ mode: "simulation", measurements: [MEASUREMENT] }),
    jobs: {
      signers: [fixture.owner.publicJwk],
      codeDigests: [SQL_DIGEST],
      purposes: [PURPOSE],
      outputKeks: [fixture.resultThumbprint],
    },
    resources: [],
    grants: [fixture.keks.open.kekId, fixture.keks.result.kekId],
    ownerOpen: [],
    ...changes,
  };
}

/** A job that the fixture's policy approves. */
export function jobOf(fixture: Fixture, changes: Partial<Job> = {}): Job {
  return {
    v: 1,
    name: "delays",
    policy: "analysis",
    purpose: PURPOSE,
    engine: { name: "sql", settings: { memoryMiB: 512, timeoutSeconds: 60, threads: 1 } },
    code: [{ kind: "sql", name: "delays", sha256: SQL_DIGEST }],
    arguments: [],
    environment: [],
    inputs: [{ name: "flights", datasetId: INPUT_DATASET, columns: ["delay"] }],
    output: {
      name: "delays-result",
      datasetId: OUTPUT_DATASET,
      kekId: fixture.keks.result.kekId,
      kekThumbprint: fixture.resultThumbprint,
    },
    issuedAt: toTimestamp(NOW_MS - 60_000),
    expiresAt: toTimestamp(NOW_MS + 3_600_000),
    ...changes,
  };
}

/** The runtime data of a TEE for a nonce and a job. */
export function runtimeDataOf(tee: Tee, nonce: string, jobDigest: string): RuntimeData {
  const encryption = ecPublicJwkOf(tee.encryption);
  const { publicJwk, keyId } = tee.signing;
  return {
    nonce,
    "tee-pubkey": encryption,
    keys: [
      { ...encryption, kid: jwkThumbprint(encryption), use: "enc" },
      { ...publicJwk, kid: keyId, use: "sig" },
    ],
    "job-digest": jobDigest,
  };
}

/** A local key wrapped under the KEK, and its bytes. */
export async function wrapUnder(
  fixture: Fixture,
  kek: KekInfo,
): Promise<{ readonly key: WrappedLocalKey; readonly hex: string }> {
  const { localKey, localKeyId } = makeLocalKey();
  const publicKey = await fixture.vault.publicKey(kek.kekId);
  const key = wrapLocalKey({ localKey, localKeyId, kek: publicKey });
  const hex = localKey.expose((bytes) => toHex(bytes));
  localKey[Symbol.dispose]();
  return { key, hex };
}

/** Hex of a released key. */
export function hexOf(secret: Secret | undefined): string {
  return secret?.expose((bytes) => toHex(bytes)) ?? "";
}

export type Answer = {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** The refusal's code and message; empty where there is none. */
  readonly code: string;
  readonly message: string;
};

/** One call to the application, without a socket. */
export async function call(app: Hono, path: string, body?: unknown): Promise<Answer> {
  const response = await app.request(
    path,
    body === undefined
      ? {}
      : {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: typeof body === "string" ? body : JSON.stringify(body),
        },
  );
  const answered = (await response.json()) as Record<string, unknown>;
  const error = (answered["error"] ?? {}) as { readonly code?: string; readonly message?: string };
  const { code = "", message = "" } = error;
  return { status: response.status, body: answered, code, message };
}

/** Asks for a nonce. */
export async function challenge(fixture: Fixture): Promise<string> {
  const { body } = await call(fixture.app, "/v1/challenge", { v: 1 });
  return String(body["nonce"]);
}

/** Puts a policy in force; fails where the broker refuses it. */
export async function applyPolicy(fixture: Fixture, policy: Policy): Promise<void> {
  const object = signObject("policy", policy, fixture.owner);
  const { status, body } = await call(fixture.app, "/v1/policies", { v: 1, object });
  if (status !== 200) throw new Error(JSON.stringify(body));
}

/** A whole good request: change any part of it to see it refused. */
export async function requestOf(
  fixture: Fixture,
  options: {
    readonly job?: Job;
    readonly signer?: SigningKey;
    readonly tee?: Tee;
    readonly keys?: readonly WrappedLocalKey[];
    readonly measurement?: string;
    readonly nonce?: string;
  } = {},
): Promise<{ request: ReleaseRequest; tee: Tee; jobDigest: string; nonce: string }> {
  const job = signObject("job", options.job ?? jobOf(fixture), options.signer ?? fixture.owner);
  const tee = options.tee ?? newTee();
  const nonce = options.nonce ?? (await challenge(fixture));
  const jobDigest = envelopeDigest(job);
  const runtimeData = runtimeDataOf(tee, nonce, jobDigest);
  const request: ReleaseRequest = {
    v: 1,
    job,
    runtimeData,
    evidence: fixture.attest(runtimeData, options.measurement),
    keys: [...(options.keys ?? [(await wrapUnder(fixture, fixture.keks.open)).key])],
    datasets: [INPUT_DATASET, OUTPUT_DATASET],
  };
  return { request, tee, jobDigest, nonce };
}

/** A manifest of one file. */
export function manifestOf(fixture: Fixture, changes: Partial<Manifest> = {}): Manifest {
  const files = [
    {
      name: "part-0.parquet",
      kind: "table" as const,
      fileId: toHex(randomBytes(16)),
      length: 100,
      size: 3,
      digest: toHex(randomBytes(32)),
    },
  ];
  return {
    v: 1,
    datasetId: INPUT_DATASET,
    name: "flights",
    version: 1,
    createdAt: toTimestamp(NOW_MS),
    files,
    localKeys: [],
    groups: [{ name: "all", kekId: fixture.keks.result.kekId, columns: null }],
    schema: null,
    merkleRoot: manifestRoot(files),
    ...changes,
  };
}

/** A signed manifest of an owner, posted. */
export function postManifest(
  fixture: Fixture,
  manifest: Manifest,
  signer?: SigningKey,
): Promise<Answer> {
  const object = signObject("manifest", manifest, signer ?? fixture.owner);
  return call(fixture.app, "/v1/manifests", { v: 1, object });
}

/** All entries of the log. */
export async function logEntries(
  fixture: Fixture,
): Promise<{ entries: Envelope[]; head: Envelope }> {
  const { body } = await call(fixture.app, "/v1/log?from=0");
  return body as unknown as { entries: Envelope[]; head: Envelope };
}

/** 32 random bytes, base64url. */
export function randomNonce(): string {
  return toBase64Url(randomBytes(32));
}
