import { PpmlError } from "../base/index.ts";
import type { WorkerResult } from "../compute/sql/task.ts";
import type { ManifestFloor } from "../format/grant.ts";
import { acceptManifest, checkListing } from "../open/accept-manifest.ts";
import { checkStored } from "../open/check-stored.ts";
import { openStore } from "../store/index.ts";
import type { Store, StoreSource } from "../store/index.ts";
import { checkJob } from "./check-job.ts";
import { computeResults } from "./compute-results.ts";
import { storeAccessOf } from "./data-lake.ts";
import { floorOf } from "./floor-of.ts";
import { loadCandidate, namingHolder } from "./inputs.ts";
import type { CandidateInput } from "./inputs.ts";
import { MAX_EVENT_TEXT } from "./messages.ts";
import type { LaunchRequest, LaunchResult } from "./messages.ts";
import type { AcceptedInput, FinishedJob, Launcher } from "./job-state.ts";
import { publishResult, rowsOf } from "./publish-result.ts";

/**
 * The whole way of a job inside the TEE: check it, attest, get the keys, accept the inputs, run the
 * engine in its sandbox, seal, store and receipt the result.
 */
export async function runJob(launcher: Launcher, request: LaunchRequest): Promise<LaunchResult> {
  const { tell } = launcher;
  const startedMs = launcher.now();
  const job = checkJob(request, startedMs);
  launcher.authority.checkJob(job);
  tell({
    event: "step",
    step: "job",
    text: `job ${job.payload.name} is signed by ${job.keyId.slice(0, 12)}…, ${job.payload.code.length === 1 ? "its query is the one signed" : `its ${job.payload.code.length} queries are those signed`}`,
  });
  const candidates = await Promise.all(
    job.payload.inputs.map(async (input) =>
      loadCandidate(input, {
        store: await storeOf(request, input.name),
        floor: await launcher.authority.floor(job.payload, input.datasetId),
      }),
    ),
  );
  const store = await openStore(request.output.store, storeAccessOf(request));
  using release = await launcher.authority
    .release({ request, job, candidates }, launcher)
    .catch((cause: unknown) => {
      const holders = candidates.map(({ input, keys }) => ({ dataset: input.name, keys }));
      throw namingHolder(cause, holders);
    });
  await using stack = new AsyncDisposableStack();
  const inputs: AcceptedInput[] = [];
  for (const candidate of candidates)
    inputs.push(await acceptInput(candidate, { floors: release.floors, stack }));
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
  return openStore(uri, storeAccessOf(request));
}

async function acceptInput(
  candidate: CandidateInput,
  options: {
    readonly floors: readonly ManifestFloor[];
    readonly stack: AsyncDisposableStack;
  },
): Promise<AcceptedInput> {
  const { input, store, envelope } = candidate;
  const manifest = acceptManifest(envelope, floorOf(options.floors, input.datasetId));
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

async function compute(
  options: Omit<FinishedJob, "result" | "version" | "fileNames" | "wrapped"> & {
    readonly request: LaunchRequest;
  },
): Promise<FinishedJob> {
  const { launcher, request, job, release, inputs, store } = options;
  const version = await launcher.authority.nextVersion(release, {
    datasetId: job.payload.output.datasetId,
    store,
  });
  const computed = await computeResults(launcher, {
    job: job.payload,
    texts: request.code,
    inputs: inputs.map(({ candidate: { input }, manifest, sources }) => ({
      name: input.name,
      datasetId: input.datasetId,
      columns: input.columns,
      files: manifest.payload.files,
      sources,
    })),
    localKeys: release.localKeys,
    kek: request.output.kek,
    store,
    version,
  });
  tellComputed(launcher, { result: computed.result, inputs });
  return { ...options, ...computed, version };
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
  const { engineVersion, results } = result;
  const counts = results.map(({ name, rows }) => `${name} ${rows} rows`).join(", ");
  const gave = results.length === 1 ? `${rowsOf(result)} rows` : counts;
  launcher.tell({
    event: "step",
    step: "compute",
    text: shortened(
      `${engineVersion} gave ${gave}; decrypted only ${[...columns, ...files].join("; ")}`,
    ),
  });
  const bytes = results.reduce((sum, { sealed }) => sum + (sealed?.length ?? 0), 0);
  const what = results.length === 1 ? "result" : `${results.length} results`;
  launcher.tell({
    event: "step",
    step: "seal",
    text: `${what} sealed from memory, ${bytes} bytes`,
  });
}

/** An event's text is bounded, and columns may be many. */
function shortened(text: string): string {
  return text.length <= MAX_EVENT_TEXT ? text : `${text.slice(0, MAX_EVENT_TEXT - 1)}…`;
}
