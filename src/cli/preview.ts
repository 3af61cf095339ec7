import { fileURLToPath } from "node:url";
import { Secret } from "../base/index.ts";
import { makeSandbox, probeIsolation } from "../compute/sandbox.ts";
import { runSqlWorker } from "../compute/sql/run-worker.ts";
import type { WorkerResult } from "../compute/sql/task.ts";
import { makeWorkerServices } from "../launch/index.ts";
import { checkStored } from "../open/index.ts";
import type { StoreSource } from "../store/index.ts";
import type { OwnerRelease } from "./owner-release.ts";

const MEMORY_MIB = 2048;
const TIMEOUT_SECONDS = 300;

/**
 * The first rows of a dataset on the owner's own machine: the engine's worker opens it in memory, in
 * the same sandbox as in a TEE, and gives rows as text.
 */
export async function previewRows(release: OwnerRelease, limit: number): Promise<WorkerResult> {
  await using stack = new AsyncDisposableStack();
  const { files, datasetId } = release.manifest.payload;
  const sources: StoreSource[] = [];
  for (const file of files) {
    const source = stack.use(await release.store.source(file.name));
    await checkStored(file, source);
    sources.push(source);
  }
  using sandbox = makeSandbox({
    mode: release.grant.grant.mode,
    isolation: probeIsolation(),
    tmpfsBytes: (MEMORY_MIB / 2) * 1024 * 1024,
  });
  using unused = Secret.take(new Uint8Array(32));
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return await runSqlWorker({
    task: {
      sql: "SELECT * FROM opened",
      settings: { memoryMiB: MEMORY_MIB, timeoutSeconds: TIMEOUT_SECONDS, threads: 2 },
      workDirectory: sandbox.workDirectory,
      inputs: [{ name: "opened", datasetId, columns: null, files }],
      output: { kind: "rows", limit },
    },
    sandbox,
    nodePath: process.execPath,
    entryPath: fileURLToPath(new URL(`../compute/sql/worker-main.${extension}`, import.meta.url)),
    environment: [],
    services: makeWorkerServices({
      sources: [sources],
      localKeys: localKeysOf(release),
      resultDek: unused,
      output: () => Promise.resolve(),
      progress: () => undefined,
    }),
  });
}

/** The released local keys with their KEKs. */
export function localKeysOf(
  release: OwnerRelease,
): ReadonlyMap<string, { readonly kekId: string; readonly key: Secret }> {
  const keys = new Map<string, { readonly kekId: string; readonly key: Secret }>();
  for (const { id, kekId } of release.grant.grant.keys) {
    const key = release.grant.keys.get(id);
    if (key !== undefined) keys.set(id, { kekId, key });
  }
  return keys;
}
