import { fileURLToPath } from "node:url";
import type { Secret } from "../base/index.ts";
import { makeSandbox, probeIsolation } from "../compute/sandbox.ts";
import { runSqlWorker } from "../compute/sql/run-worker.ts";
import type { WorkerResult } from "../compute/sql/task.ts";
import { makeWorkerServices } from "../launch/index.ts";
import { checkStored } from "../open/index.ts";
import type { StoreSource } from "../store/index.ts";
import type { DatasetTable } from "./dataset-tables.ts";
import type { OwnerRelease } from "./owner-release.ts";

const MEMORY_MIB = 2048;
const TIMEOUT_SECONDS = 300;

/**
 * The first rows of each of a dataset's tables on the owner's own machine: the engine's worker opens
 * them in memory, in the same sandbox as in a TEE, and gives rows as text.
 * @param options.limit rows of a table at most
 */
export async function previewRows(
  release: OwnerRelease,
  options: { readonly tables: readonly DatasetTable[]; readonly limit: number },
): Promise<WorkerResult["results"]> {
  await using stack = new AsyncDisposableStack();
  const { datasetId } = release.manifest.payload;
  const { tables, limit } = options;
  const sources: StoreSource[][] = [];
  for (const { files } of tables) {
    const opened: StoreSource[] = [];
    for (const file of files) {
      const source = stack.use(await release.store.source(file.name));
      await checkStored(file, source);
      opened.push(source);
    }
    sources.push(opened);
  }
  using sandbox = makeSandbox({
    mode: release.grant.grant.mode,
    isolation: probeIsolation(),
    tmpfsBytes: (MEMORY_MIB / 2) * 1024 * 1024,
  });
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const { results } = await runSqlWorker({
    task: {
      queries: tables.map(({ name }, at) => ({
        name: name ?? "opened",
        sql: `SELECT * FROM ${inputOf(at)}`,
      })),
      settings: { memoryMiB: MEMORY_MIB, timeoutSeconds: TIMEOUT_SECONDS, threads: 2 },
      workDirectory: sandbox.workDirectory,
      inputs: tables.map(({ files }, at) => ({
        name: inputOf(at),
        datasetId,
        columns: null,
        files: [...files],
      })),
      output: { kind: "rows", limit },
    },
    sandbox,
    nodePath: process.execPath,
    entryPath: fileURLToPath(new URL(`../compute/sql/worker-main.${extension}`, import.meta.url)),
    environment: [],
    services: makeWorkerServices({
      sources,
      localKeys: localKeysOf(release),
      resultDeks: [],
      output: () => Promise.resolve(),
      progress: () => undefined,
    }),
  });
  return results;
}

function inputOf(table: number): string {
  return `opened_${table}`;
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
