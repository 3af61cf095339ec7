import { isPpmlError, PpmlError } from "../base/index.ts";
import type { ManifestFloor } from "../format/grant.ts";
import { parseJson } from "../format/jcs.ts";
import type { Job } from "../format/job.ts";
import { jobSchema } from "../format/job.ts";
import {
  checkManifest,
  manifestSchema,
  MAX_WAITING,
  pendingManifestName,
  versionOfName,
  waitingReceiptName,
} from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import { receiptSchema, RESULT_PREDICATE } from "../format/receipt.ts";
import type { ReceiptFile, ResultPredicate } from "../format/receipt.ts";
import { peekObject, verifyObject } from "../format/signed-object.ts";
import type { EcPublicJwk } from "../format/schema.ts";
import type { Envelope, VerifiedObject } from "../format/signed-object.ts";
import { parseReceiptFile, verifyReceiptFile } from "../receipt/index.ts";
import type { ReceiptReport, ReceiptRoots } from "../receipt/index.ts";
import { loadEnvelope } from "../seal/index.ts";
import type { Store } from "../store/index.ts";
import { loadSignedJob } from "./job-object.ts";
import type { Workspace } from "./workspace.ts";

const MAX_RECEIPT_BYTES = 16 * 1024 * 1024;
/** Reasons of refused results in one message. */
const MAX_SHOWN = 3;
/** What is wrong with a waiting result itself; all else says nothing of it, and ends the search. */
const IS_ITS_OWN = /^(?:receipt|format|open|attest)\.|^store\.not_found$/;

/** A result that waits in its store, checked. */
export type WaitingResult = {
  readonly manifest: Manifest;
  readonly receipt: ReceiptFile;
  readonly report: ReceiptReport;
  /** What it was made from. */
  readonly inputs: ResultPredicate["inputs"];
};

/** What a waiting result is held against. */
export type ResultClaim = {
  /** The signed jobs that may have made it. */
  readonly jobs: readonly VerifiedObject<Job>[];
  /** What a job's receipt is verified from, with its policy's appraisal: which launchers count. */
  readonly rootsOf: (job: VerifiedObject<Job>) => Promise<ReceiptRoots>;
  /** A dataset's floor as the broker has it: no input may be older. */
  readonly floorOf: (datasetId: string) => Promise<ManifestFloor>;
  /** The owner, who may have signed the manifest already when an earlier acceptance was cut off. */
  readonly owner: EcPublicJwk;
  readonly nowMs: number;
};

/** The owner's signed jobs with release direct that write into a dataset. @throws launch.job */
export async function directJobsOf(
  workspace: Workspace,
  dataset: string,
): Promise<readonly VerifiedObject<Job>[]> {
  const { project, owner } = workspace;
  const datasetId = workspace.datasetId(dataset);
  const names = Object.entries(project.config.jobs)
    .filter(([, job]) => job.release === "direct" && job.output === dataset)
    .map(([name]) => name);
  if (names.length === 0)
    throw new PpmlError(
      "launch.job",
      `no job of ppml.yaml with release direct writes into ${dataset}: results of other jobs are accepted by the broker`,
    );
  const signers = [owner.publicJwk];
  const loaded = await Promise.allSettled(
    names.map(async (name) => {
      const envelope = await loadSignedJob(project, name);
      return verifyObject({ kind: "job", schema: jobSchema, envelope, signers });
    }),
  );
  const signed = loaded.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const jobs = signed.filter(({ payload }) => payload.output.datasetId === datasetId);
  if (jobs.length > 0) return jobs;
  const failed = loaded.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  throw new PpmlError(
    "launch.job",
    `the job ${names[0] ?? ""} is signed for another output than ${dataset}: sign it again with 'ppml job sign ${names[0] ?? ""}', and run it`,
  );
}

/**
 * Finds the latest result above the version in force that waits in a store and is what it says: a
 * manifest signed by a TEE's key, whose receipt verifies from the pinned roots, for a job that the owner
 * signed, from inputs that are not older than the latest. Whoever writes into the store may have put others
 * beside it: those are passed over.
 * @throws open.manifest where none waits; receipt.invalid with the reasons where none of them holds
 */
export async function findWaiting(
  store: Store,
  inForce: { readonly dataset: string; readonly version: number },
  claim: ResultClaim,
): Promise<WaitingResult> {
  const { dataset, version: above } = inForce;
  const versions: number[] = [];
  for await (const { name } of store.list("")) {
    const version = versionOfName(name);
    if (version === null || name !== waitingReceiptName(version)) continue;
    if (version > above && version <= above + MAX_WAITING) versions.push(version);
  }
  versions.sort((a, b) => b - a);
  const refusals: string[] = [];
  for (const version of versions)
    try {
      return await checkWaiting(store, version, claim);
    } catch (error) {
      if (!isPpmlError(error) || !IS_ITS_OWN.test(error.code)) throw error;
      refusals.push(`v${version}: ${error.message}`);
    }
  if (refusals.length === 0)
    throw new PpmlError(
      "open.manifest",
      above === 0
        ? `no result of ${dataset} waits: run the job first`
        : `no result of ${dataset} waits that is newer than version ${above}, which is accepted: for a newer one sign the job again, where the store was emptied or put back, and run it`,
    );
  const shown = refusals.slice(0, MAX_SHOWN);
  const more = refusals.length - shown.length;
  throw new PpmlError(
    "receipt.invalid",
    `of ${dataset} no result that waits is accepted:\n  ${shown.join("\n  ")}${more > 0 ? `\n  and ${more} more` : ""}`,
    { detail: { dataset, remedy: "run the job again as it is signed now" } },
  );
}

async function checkWaiting(
  store: Store,
  version: number,
  claim: ResultClaim,
): Promise<WaitingResult> {
  const receipt = await loadReceipt(store, waitingReceiptName(version));
  const { job, digest } = jobOf(receipt, claim.jobs);
  const envelope = await loadEnvelope(store, pendingManifestName({ version, digest }));
  const roots = await claim.rootsOf(job);
  const report = await verifyReceiptFile({ file: receipt, roots, nowMs: claim.nowMs });
  const failed = report.checks.find(({ outcome }) => outcome === "failed");
  if (failed !== undefined)
    throw new PpmlError("receipt.invalid", `its receipt's ${failed.check}: ${failed.detail}`);
  if (report.receipt.predicateType !== RESULT_PREDICATE)
    throw new PpmlError("receipt.invalid", "its receipt is not that of a result");
  const { predicate } = report.receipt;
  await checkInputs(predicate, claim);
  const manifest = checkSpeaksOf(envelope, { predicate, job: job.payload, owner: claim.owner });
  if (manifest.version !== version)
    throw new PpmlError("receipt.invalid", `it is of version ${manifest.version}`);
  return { manifest, receipt, report, inputs: predicate.inputs };
}

/** No input is older than what the broker accepts now. @throws open.rolled_back */
async function checkInputs({ inputs }: ResultPredicate, claim: ResultClaim): Promise<void> {
  for (const { name, datasetId, version, manifestDigest } of inputs) {
    const floor = await claim.floorOf(datasetId);
    if (version > floor.minVersion) continue;
    if (version === floor.minVersion && manifestDigest === floor.minDigest) continue;
    throw new PpmlError(
      "open.rolled_back",
      `it was made from ${name} v${version}, and v${floor.minVersion} is the latest that was accepted: sign the job again, and run it`,
    );
  }
}

/** That manifest, receipt and signed job speak of one result. @throws receipt.invalid format.signature */
function checkSpeaksOf(
  envelope: Envelope,
  of: { readonly predicate: ResultPredicate; readonly job: Job; readonly owner: EcPublicJwk },
): Manifest {
  const { predicate, owner } = of;
  const { output } = of.job;
  const { kty, crv, x, y } = predicate.runtimeData.keys[1];
  const signers = [{ kty, crv, x, y }, owner];
  const { payload: manifest, digest } = verifyObject({
    kind: "manifest",
    schema: manifestSchema,
    envelope,
    signers,
  });
  checkManifest(manifest);
  const pairs: readonly (readonly [what: string, said: unknown, expected: unknown])[] = [
    ["policy", predicate.policy, null],
    ["output dataset", predicate.output.datasetId, output.datasetId],
    ["output KEK", predicate.output.kekThumbprint, output.kekThumbprint],
    ["manifest digest", predicate.output.manifestDigest, digest],
    ["manifest's dataset", manifest.datasetId, output.datasetId],
    ["manifest's name", manifest.name, output.name],
    ["manifest's version", manifest.version, predicate.output.version],
    ["Merkle root", manifest.merkleRoot, predicate.output.merkleRoot],
    ...[...manifest.groups, ...manifest.localKeys].map(
      ({ kekId }) => ["manifest's KEK", kekId, output.kekId] as const,
    ),
  ];
  const wrong = pairs.find(([, said, expected]) => said !== expected);
  if (wrong === undefined) return manifest;
  throw new PpmlError(
    "receipt.invalid",
    `its ${wrong[0]} is ${String(wrong[1])}, expected ${String(wrong[2])}`,
  );
}

/** The signed job and the manifest that an unverified receipt names. @throws receipt.invalid */
function jobOf(
  { receipt }: ReceiptFile,
  jobs: ResultClaim["jobs"],
): { readonly job: VerifiedObject<Job>; readonly digest: string } {
  const { payload } = peekObject({ kind: "receipt", schema: receiptSchema, envelope: receipt });
  if (payload.predicateType !== RESULT_PREDICATE)
    throw new PpmlError("receipt.invalid", "its receipt is not that of a result");
  const { digest } = payload.predicate.job;
  const job = jobs.find((one) => one.digest === digest);
  if (job !== undefined) return { job, digest: payload.predicate.output.manifestDigest };
  throw new PpmlError(
    "receipt.invalid",
    `it was made by the job with digest ${digest.slice(0, 16)}…, which is none that is signed here: run the job as it is signed now`,
  );
}

async function loadReceipt(store: Store, name: string): Promise<ReceiptFile> {
  await using source = await store.source(name);
  if (source.size > MAX_RECEIPT_BYTES)
    throw new PpmlError("receipt.invalid", `${name} has over ${MAX_RECEIPT_BYTES} bytes`);
  return parseReceiptFile(parseJson(await source.read(0, source.size), name));
}
