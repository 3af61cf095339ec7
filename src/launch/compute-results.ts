import { randomBytes } from "node:crypto";
import { toHex } from "../base/index.ts";
import { makeSandbox, probeIsolation } from "../compute/sandbox.ts";
import type { Sandbox } from "../compute/sandbox.ts";
import { runSqlWorker } from "../compute/sql/run-worker.ts";
import type { WorkerOrder, WorkerResult } from "../compute/sql/task.ts";
import { isolationNotice } from "../compute/work-directory.ts";
import type { Job } from "../format/job.ts";
import type { KekPublicKey, WrappedLocalKey } from "../format/kek.ts";
import { makeResultKeys } from "../seal/table-key.ts";
import type { Store, StoreSource } from "../store/index.ts";
import type { LauncherConfig, LaunchEvent } from "./messages.ts";
import { makeResultSink } from "./put-results.ts";
import { makeWorkerServices } from "./worker-services.ts";
import type { LocalKeys } from "./worker-services.ts";

/** Who runs the engine: the part of the launcher that this needs. */
export type EngineHost = {
  readonly config: Pick<LauncherConfig, "mode">;
  readonly nodePath: string;
  readonly workerPath: string;
  readonly tell: (event: LaunchEvent) => void;
};

/** What the engine works on: code that was checked, inputs that were accepted, keys of a release. */
export type Computation = {
  readonly job: Pick<Job, "code" | "engine" | "environment">;
  /** Texts of the job's code, in its order. */
  readonly texts: readonly string[];
  readonly inputs: readonly (WorkerOrder["inputs"][number] & {
    /** The stored files, open, in the order of `files`. */
    readonly sources: readonly StoreSource[];
  })[];
  readonly localKeys: LocalKeys;
  /** KEK that the results are sealed for. */
  readonly kek: KekPublicKey;
  readonly store: Store;
  /** The version that the results will be published as, from 1. */
  readonly version: number;
};

/** Results that are stored and not published. */
export type ComputedResults = {
  readonly result: WorkerResult;
  /** Stored names, one a query, in their order. */
  readonly fileNames: readonly string[];
  readonly wrapped: WrappedLocalKey;
};

/**
 * Runs a job's queries in the sandbox, and seals and stores their results. Where one fails, none is
 * left in the store.
 * @throws what the worker finds, compute.timeout, compute.memory, compute.worker, store.io
 */
export async function computeResults(
  host: EngineHost,
  computation: Computation,
): Promise<ComputedResults> {
  const { job, inputs, store, version } = computation;
  const { settings } = job.engine;
  using sandbox = sandboxOf(host, settings.memoryMiB);
  using keys = makeResultKeys({ kek: computation.kek, count: job.code.length });
  // Names of their own: two runs at once must not write over each other's files.
  const run = toHex(randomBytes(4));
  const fileNames = job.code.map(({ name }) => `v${version}/${name}-${run}.parquet`);
  const sink = makeResultSink(store, fileNames);
  try {
    const result = await runSqlWorker({
      task: {
        queries: job.code.map(({ name }, at) => ({ name, sql: computation.texts[at] ?? "" })),
        settings,
        workDirectory: sandbox.workDirectory,
        inputs: inputs.map(({ name, datasetId, columns, files }) => ({
          name,
          datasetId,
          columns,
          files,
        })),
        output: { kind: "table", keyMetadata: keys.tables.map(({ keyMetadata }) => keyMetadata) },
      },
      sandbox,
      nodePath: host.nodePath,
      entryPath: host.workerPath,
      environment: job.environment,
      services: makeWorkerServices({
        sources: inputs.map(({ sources }) => sources),
        localKeys: computation.localKeys,
        resultDeks: keys.tables.map(({ dek }) => dek),
        output: sink.give,
        progress: (progress) => {
          host.tell({ event: "progress", ...progress });
        },
      }),
    });
    await sink.finish();
    return { result, fileNames, wrapped: keys.wrapped };
  } catch (error) {
    await sink.abandon(error);
    throw error;
  }
}

function sandboxOf(host: EngineHost, memoryMiB: number): Sandbox {
  const isolation = probeIsolation();
  const notice = isolationNotice(isolation, process.platform);
  if (notice !== null) host.tell({ event: "notice", text: notice });
  return makeSandbox({
    mode: host.config.mode,
    isolation,
    tmpfsBytes: Math.ceil(memoryMiB / 2) * 1024 * 1024,
  });
}
