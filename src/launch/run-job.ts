import { randomBytes } from "node:crypto";
import { PpmlError, toHex } from "../base/index.ts";
import { makeSandbox, probeIsolation } from "../compute/sandbox.ts";
import { isolationNotice } from "../compute/work-directory.ts";
import type { Sandbox } from "../compute/sandbox.ts";
import { runSqlWorker } from "../compute/sql/run-worker.ts";
import type { WorkerResult } from "../compute/sql/task.ts";
import type { Grant, ManifestFloor } from "../format/grant.ts";
import type { Job } from "../format/job.ts";
import { reportDataOf } from "../format/runtime-data.ts";
import type { VerifiedObject } from "../format/signed-object.ts";
import { acceptManifest, checkListing, checkStored, openGrant } from "../open/index.ts";
import { openStore } from "../store/index.ts";
import type { Store, StoreSource } from "../store/index.ts";
import { checkJob } from "./check-job.ts";
import { loadCandidate } from "./inputs.ts";
import type { CandidateInput } from "./inputs.ts";
import type { LaunchRequest, LaunchResult } from "./messages.ts";
import type { AcceptedInput, FinishedJob, Launcher, Release } from "./job-state.ts";
import { publishResult } from "./publish-result.ts";
import { makeResultKey } from "../seal/index.ts";
import { makeTeeKeys, runtimeDataOf } from "./tee-keys.ts";
import { makeHandover, makeWorkerServices } from "./worker-services.ts";

/**
 * The whole way of a job inside the TEE: check it, attest, get the keys, accept the inputs, run the
 * engine in its sandbox, seal, store and receipt the result.
 */
export async function runJob(launcher: Launcher, request: LaunchRequest): Promise<LaunchResult> {
  const { tell } = launcher;
  const startedMs = launcher.now();
  const job = checkJob(request, startedMs);
  tell({
    event: "step",
    step: "job",
    text: `job ${job.payload.name} is signed by ${job.keyId.slice(0, 12)}…, its query is the one signed`,
  });
  const candidates = await Promise.all(
    job.payload.inputs.map(async (input) =>
      loadCandidate(input, {
        store: await storeOf(request, input.name),
        floor: await launcher.broker.floor(input.datasetId),
      }),
    ),
  );
  const store = await openStore(request.output.store);
  using release = await getRelease(launcher, { request, job, candidates });
  await using stack = new AsyncDisposableStack();
  const inputs: AcceptedInput[] = [];
  for (const candidate of candidates)
    inputs.push(await acceptInput(candidate, { grant: release.grant, stack }));
  tell({
    event: "step",
    step: "open",
    text: inputs
      .map(({ manifest }) => `${manifest.payload.name} v${manifest.payload.version}`)
      .join(", ")
      .concat(": manifests signed by an accepted signer, not rolled back"),
  });
  return publishResult(
    await compute({ launcher, request, job, release, inputs, store, startedMs }),
  );
}

async function storeOf(request: LaunchRequest, input: string): Promise<Store> {
  const uri = request.inputs[input];
  if (uri === undefined)
    throw new PpmlError("launch.job", `the host names no store for the job's input ${input}`);
  return openStore(uri);
}

async function getRelease(
  launcher: Launcher,
  options: {
    readonly request: LaunchRequest;
    readonly job: VerifiedObject<Job>;
    readonly candidates: readonly CandidateInput[];
  },
): Promise<Release> {
  const { broker, config, tell } = launcher;
  const { job, candidates } = options;
  const keys = makeTeeKeys();
  const challenge = await broker.challenge();
  const runtimeData = runtimeDataOf({ keys, nonce: challenge.nonce, jobDigest: job.digest });
  const evidence = await launcher.attester.attest(reportDataOf(runtimeData));
  tell({
    event: "step",
    step: "evidence",
    text: `${evidence.type} Evidence binds the job, the nonce and the TEE's own keys`,
  });
  const wanted = candidates.flatMap((candidate) => candidate.keys);
  const { jwe } = await broker.release({
    v: 1,
    job: options.request.job,
    runtimeData,
    evidence,
    keys: wanted,
    datasets: [
      ...new Set([
        ...job.payload.inputs.map((input) => input.datasetId),
        job.payload.output.datasetId,
      ]),
    ],
  });
  const opened = await openGrant({
    jwe,
    recipientKey: keys.encryption,
    releaseRoot: config.releaseRoot,
    expected: {
      nonce: challenge.nonce,
      requestKind: "job",
      requestDigest: job.digest,
      mode: config.mode,
    },
    nowMs: launcher.now(),
  });
  const { grant } = opened;
  tell({
    event: "step",
    step: "release",
    text: `policy ${grant.policy.name} released ${grant.keys.length} key(s), signed, and encrypted to the TEE's key (log entry ${grant.logIndex})`,
  });
  return {
    grant,
    localKeys: new Map(
      grant.keys.flatMap(({ id, kekId }) => {
        const key = opened.keys.get(id);
        return key === undefined ? [] : [[id, { kekId, key }] as const];
      }),
    ),
    keys,
    runtimeData,
    evidence,
    [Symbol.dispose]: () => {
      opened[Symbol.dispose]();
    },
  };
}

async function acceptInput(
  candidate: CandidateInput,
  options: { readonly grant: Grant; readonly stack: AsyncDisposableStack },
): Promise<AcceptedInput> {
  const { input, store, envelope } = candidate;
  const manifest = acceptManifest(envelope, floorOf(options.grant, input.datasetId));
  const stored: string[] = [];
  for await (const object of store.list("")) stored.push(object.name);
  checkListing(manifest, stored);
  const sources: StoreSource[] = [];
  for (const file of manifest.payload.files) {
    const source = options.stack.use(await store.source(file.name));
    await checkStored(file, source);
    sources.push(source);
  }
  return { candidate, manifest, sources };
}

function floorOf(grant: Grant, datasetId: string): ManifestFloor {
  const floor = grant.floors.find((candidate) => candidate.datasetId === datasetId);
  if (floor === undefined)
    throw new PpmlError("release.response", `the grant names no manifest floor for ${datasetId}`);
  return floor;
}

async function compute(
  options: Omit<FinishedJob, "result" | "version" | "fileName" | "wrapped"> & {
    readonly request: LaunchRequest;
  },
): Promise<FinishedJob> {
  const { launcher, request, job, release, inputs, store } = options;
  const { settings } = job.payload.engine;
  using sandbox = sandboxOf(launcher, settings.memoryMiB);
  using resultKey = makeResultKey(request.output.kek);
  const version = floorOf(release.grant, job.payload.output.datasetId).minVersion + 1;
  // A name of its own: two runs at once must not write over each other's file.
  const fileName = `v${version}/result-${toHex(randomBytes(4))}.parquet`;
  const result = await putWhileRunning({ store, fileName }, (output) =>
    runSqlWorker({
      task: {
        sql: request.code[0] ?? "",
        settings,
        workDirectory: sandbox.workDirectory,
        inputs: inputs.map(({ candidate, manifest }) => ({
          name: candidate.input.name,
          datasetId: candidate.input.datasetId,
          columns: candidate.input.columns,
          files: manifest.payload.files,
        })),
        output: { kind: "table", keyMetadata: resultKey.keyMetadata },
      },
      sandbox,
      nodePath: launcher.nodePath,
      entryPath: launcher.workerPath,
      environment: job.payload.environment,
      services: makeWorkerServices({
        sources: inputs.map((input) => input.sources),
        localKeys: release.localKeys,
        resultDek: resultKey.dek,
        output,
        progress: (progress) => {
          launcher.tell({ event: "progress", ...progress });
        },
      }),
    }),
  );
  tellComputed(launcher, { result, inputs });
  return { ...options, result, version, fileName, wrapped: resultKey.wrapped };
}

function sandboxOf(launcher: Launcher, memoryMiB: number): Sandbox {
  const isolation = probeIsolation();
  const notice = isolationNotice(isolation, process.platform);
  if (notice !== null) launcher.tell({ event: "notice", text: notice });
  return makeSandbox({
    mode: launcher.config.mode,
    isolation,
    tmpfsBytes: Math.ceil(memoryMiB / 2) * 1024 * 1024,
  });
}

/** Puts an object from what `run` gives out; if `run` fails, no object appears. */
async function putWhileRunning<T>(
  target: { readonly store: Store; readonly fileName: string },
  run: (output: (bytes: Uint8Array) => Promise<void>) => Promise<T>,
): Promise<T> {
  const handover = makeHandover();
  const stored = target.store.put(target.fileName, handover.chunks);
  // Its failure is seen where it is awaited below; until then it must not end the process.
  stored.catch(() => undefined);
  try {
    const result = await run(handover.give);
    await handover.end();
    await stored;
    return result;
  } catch (error) {
    await handover.fail(error).catch(() => undefined);
    await stored.catch(() => undefined);
    throw error;
  }
}

function tellComputed(
  launcher: Launcher,
  done: { readonly result: WorkerResult; readonly inputs: readonly AcceptedInput[] },
): void {
  const { result, inputs } = done;
  const columns = result.opened.map(
    ({ name, columns: read, rowGroups, rowGroupsOpened }) =>
      `${name}: ${read.length === 0 ? "no column" : read.join(", ")} in ${rowGroupsOpened} of ${rowGroups} row groups`,
  );
  // A sealed file has no columns to choose from: the engine reads it as a whole.
  const files = inputs
    .filter(({ manifest }) => manifest.payload.files.every(({ kind }) => kind === "file"))
    .map(({ candidate }) => `${candidate.input.name}: all of it`);
  launcher.tell({
    event: "step",
    step: "compute",
    text: `${result.engineVersion} gave ${result.rows} rows; decrypted only ${[...columns, ...files].join("; ")}`,
  });
  launcher.tell({
    event: "step",
    step: "seal",
    text: `result sealed from memory, ${result.sealed?.length ?? 0} bytes`,
  });
}
