import { constants, createPrivateKey, generateKeyPairSync, privateDecrypt } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { DuckDBInstance } from "@duckdb/node-api";
import { fromBase64Url, Secret } from "../../src/base/index.ts";
import { makeSandbox, probeIsolation } from "../../src/compute/sandbox.ts";
import type { Isolation } from "../../src/compute/sandbox.ts";
import { runSqlWorker, serveWorker } from "../../src/compute/sql/run-worker.ts";
import type { WorkerServices } from "../../src/compute/sql/run-worker.ts";
import type {
  QueryResult,
  WorkerOrder,
  WorkerResult,
  WorkerTask,
} from "../../src/compute/sql/task.ts";
import { openWorkerChannel } from "../../src/compute/sql/worker-channel.ts";
import { runTask } from "../../src/compute/sql/worker.ts";
import { signingKeyOf } from "../../src/format/jwk.ts";
import type { KekPublicKey } from "../../src/format/kek.ts";
import type { Manifest } from "../../src/format/manifest.ts";
import { kekVersionOf } from "../../src/key/index.ts";
import { makeWorkerServices } from "../../src/launch/worker-services.ts";
import { makeResultKeys, sealDataset } from "../../src/seal/index.ts";
import type { ManifestAuthority, SealInput } from "../../src/seal/index.ts";
import { openLocalSource, openLocalStore } from "../../src/store/index.ts";
import type { StoreSource } from "../../src/store/index.ts";

/** A KEK with its private half: what a vault would hold. */
export type TestKek = { readonly publicKey: KekPublicKey; readonly privateKey: KeyObject };

export function makeTestKek(kekId: string): TestKek {
  const pair = generateKeyPairSync("rsa", { modulusLength: 3072 });
  const { n, e } = pair.publicKey.export({ format: "jwk" });
  const jwk = { kty: "RSA" as const, n: n ?? "", e: (e ?? "") as "AQAB" };
  return {
    publicKey: {
      kekId,
      kekVersion: kekVersionOf(
        new Uint8Array(pair.publicKey.export({ format: "der", type: "spki" })),
      ),
      kind: "unwrap-only",
      mode: "simulation",
      jwk,
    },
    privateKey: createPrivateKey(pair.privateKey.export({ format: "pem", type: "pkcs8" })),
  };
}

/** Unwraps the manifest's local keys that belong to the KEKs given, as a vault would. */
export function releaseKeys(
  manifest: Pick<Manifest, "localKeys">,
  keks: readonly TestKek[],
): Map<string, { readonly kekId: string; readonly key: Secret }> {
  const keys = new Map<string, { readonly kekId: string; readonly key: Secret }>();
  for (const { id, kekId, wrapped } of manifest.localKeys) {
    const kek = keks.find((candidate) => candidate.publicKey.kekId === kekId);
    if (kek === undefined) continue;
    const bytes = privateDecrypt(
      {
        key: kek.privateKey,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: "sha256",
      },
      fromBase64Url(wrapped),
    );
    keys.set(id, { kekId, key: Secret.copy(bytes) });
  }
  return keys;
}

export type Scratch = Disposable & { readonly path: string };

export function makeScratch(): Scratch {
  const path = mkdtempSync(join(tmpdir(), "ppml-test-"));
  return {
    path,
    [Symbol.dispose]: () => {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Writes a plain Parquet file from a query. */
export async function writeParquet(path: string, sql: string, options = ""): Promise<void> {
  const db = await DuckDBInstance.create(":memory:");
  const connection = await db.connect();
  await connection.run(`COPY (${sql}) TO '${path}' (FORMAT parquet${options})`);
  connection.closeSync();
  db.closeSync();
}

export function fileInput(path: string, name: string): SealInput {
  return {
    name,
    kind: name.endsWith(".parquet") ? "table" : "file",
    open: () => openLocalSource(path, { name, followLink: false }),
  };
}

export const OWNER = signingKeyOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);

/** Accepts every manifest, as a broker would that nobody else asks. */
export function sureAuthority(): ManifestAuthority {
  let digest: string | null = null;
  return {
    accept: (published) => {
      ({ digest } = published);
      return Promise.resolve();
    },
    pinned: () => Promise.resolve(digest),
  };
}

/** A sealed dataset in a folder, ready for a worker. */
export type TestDataset = {
  readonly name: string;
  readonly folder: string;
  readonly manifest: Manifest;
};

export async function sealTestDataset(options: {
  readonly folder: string;
  readonly name: string;
  readonly datasetId: string;
  readonly groups: readonly {
    readonly name: string;
    readonly kek: TestKek;
    readonly columns: readonly string[] | null;
  }[];
  readonly inputs: readonly SealInput[];
}): Promise<TestDataset> {
  const { manifest } = await sealDataset({
    valuesInPaths: "refuse",
    authority: sureAuthority(),
    store: openLocalStore(options.folder),
    datasetId: options.datasetId,
    name: options.name,
    version: 1,
    groups: options.groups.map(({ name, kek, columns }) => ({ name, columns, kek: kek.publicKey })),
    inputs: options.inputs,
    signer: OWNER,
    nowMs: Date.now(),
  });
  return { name: options.name, folder: options.folder, manifest };
}

export type TestInput = {
  readonly dataset: TestDataset;
  readonly columns: readonly string[] | null;
};

/** Found out once: it starts a process, and the answer is the machine's. */
let isolation: Isolation | null = null;
/** For results that no test opens: making an RSA key costs as much as a small query. */
let unopened: TestKek | null = null;

type RunOptions = {
  readonly inputs: readonly TestInput[];
  readonly keks: readonly TestKek[];
  readonly settings?: Partial<WorkerTask["settings"]>;
  readonly resultKek?: TestKek;
  /** False: the worker has to ask for all bytes, as it does for a store that is not local. */
  readonly inherits?: boolean;
  /** Told of each range that the worker asks for. */
  readonly onRead?: () => void;
  /** Awaited for each piece of a result that the worker gives. */
  readonly onOutput?: () => Promise<void>;
  /** True: the worker's code runs in this process, where nothing is asked of its own. */
  readonly here?: boolean;
};

/** Runs a query in a real worker over sealed datasets, with the keys of `keks` only. */
export async function runQuery(
  options: RunOptions & { readonly sql: string },
): Promise<QueryResult & Pick<WorkerResult, "opened"> & { readonly output: Uint8Array }> {
  const { opened, results, outputs } = await runQueries({ ...options, queries: [options.sql] });
  const [result] = results;
  if (result === undefined) throw new Error("no result");
  return { ...result, opened, output: outputs[0] ?? new Uint8Array(0) };
}

/** As `runQuery`, several in one task: they are named q0, q1, … */
export async function runQueries(
  options: RunOptions & { readonly queries: readonly string[] },
): Promise<WorkerResult & { readonly outputs: readonly Uint8Array[] }> {
  await using stack = new AsyncDisposableStack();
  const sources: StoreSource[][] = [];
  const localKeys = new Map<string, { readonly kekId: string; readonly key: Secret }>();
  for (const { dataset } of options.inputs) {
    const store = openLocalStore(dataset.folder);
    const opened = [];
    for (const file of dataset.manifest.files)
      opened.push(stack.use(await store.source(file.name)));
    sources.push(opened);
    for (const [id, key] of releaseKeys(dataset.manifest, options.keks)) localKeys.set(id, key);
  }
  const settings = { memoryMiB: 512, timeoutSeconds: 60, threads: 2, ...options.settings };
  isolation ??= probeIsolation();
  using sandbox = makeSandbox({
    mode: "simulation",
    isolation: options.here === true ? "none" : isolation,
    tmpfsBytes: (settings.memoryMiB / 2) * 1024 * 1024,
  });
  const kek = options.resultKek ?? (unopened ??= makeTestKek("test/results"));
  using keys = makeResultKeys({
    kek: kek.publicKey,
    count: options.queries.length,
  });
  const chunks: Uint8Array[][] = options.queries.map(() => []);
  const services = makeWorkerServices({
    sources,
    localKeys,
    resultDeks: keys.tables.map(({ dek }) => dek),
    output: ({ query, bytes }) => {
      chunks[query]?.push(Uint8Array.from(bytes));
      return options.onOutput?.() ?? Promise.resolve();
    },
    progress: () => undefined,
  });
  const task: WorkerOrder = {
    queries: options.queries.map((sql, at) => ({ name: `q${at}`, sql })),
    settings,
    workDirectory: sandbox.workDirectory,
    inputs: options.inputs.map(({ dataset, columns }) => ({
      name: dataset.name,
      datasetId: dataset.manifest.datasetId,
      columns: columns === null ? null : [...columns],
      files: dataset.manifest.files,
    })),
    output:
      options.resultKek === undefined
        ? { kind: "rows", limit: 1000 }
        : { kind: "table", keyMetadata: keys.tables.map(({ keyMetadata }) => keyMetadata) },
  };
  const watched: WorkerServices = {
    ...services,
    ...(options.inherits === false ? { descriptor: () => null } : {}),
    read: (at) => {
      options.onRead?.();
      return services.read(at);
    },
  };
  const result = await (options.here === true
    ? runHere(task, watched)
    : runSqlWorker({
        task,
        services: watched,
        sandbox,
        nodePath: process.execPath,
        entryPath: join(import.meta.dirname, "../../src/compute/sql/worker-main.ts"),
        environment: [],
      }));
  return { ...result, outputs: chunks.map((parts) => new Uint8Array(Buffer.concat(parts))) };
}

/** As worker-main.ts and its launcher do it, over a pair of streams in place of the process. */
async function runHere(order: WorkerOrder, services: WorkerServices): Promise<WorkerResult> {
  const [launcherEnd, workerEnd] = duplexPair();
  const channel = openWorkerChannel(workerEnd);
  const descriptors = order.inputs.map(({ files }, input) =>
    files.map((_, file) => services.descriptor({ input, file })),
  );
  const [served] = await Promise.allSettled([
    serveWorker(launcherEnd, services),
    runTask({ ...order, descriptors }, channel).then(
      (result) => channel.done(result),
      (error: unknown) => channel.fail(error),
    ),
  ]);
  channel.task.catch(() => undefined);
  workerEnd.destroy();
  launcherEnd.destroy();
  if (served.status === "rejected") throw served.reason;
  return served.value;
}
