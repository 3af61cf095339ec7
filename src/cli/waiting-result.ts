import { isPpmlError, PpmlError } from "../base/index.ts";
import { parseJson } from "../format/jcs.ts";
import type { Job } from "../format/job.ts";
import { jobSchema } from "../format/job.ts";
import {
  checkManifest,
  manifestSchema,
  pendingVersionOf,
  waitingReceiptName,
} from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import { receiptSchema, RESULT_PREDICATE } from "../format/receipt.ts";
import type { ReceiptFile, ResultReceipt } from "../format/receipt.ts";
import { envelopeDigest, peekObject, verifyObject } from "../format/signed-object.ts";
import type { Envelope, VerifiedObject } from "../format/signed-object.ts";
import { parseReceiptFile, verifyReceiptFile } from "../receipt/index.ts";
import type { ReceiptReport, ReceiptRoots } from "../receipt/index.ts";
import { loadEnvelope } from "../seal/index.ts";
import type { Store } from "../store/index.ts";
import { loadSignedJob } from "./job-object.ts";
import type { Workspace } from "./workspace.ts";

const MAX_RECEIPT_BYTES = 16 * 1024 * 1024;

/** A result that waits in its store, checked. */
export type WaitingResult = {
  readonly manifest: Manifest;
  readonly receipt: ReceiptFile;
  readonly report: ReceiptReport;
};

/** What a waiting result is held against. */
export type ResultClaim = {
  /** The signed jobs that may have made it. */
  readonly jobs: readonly VerifiedObject<Job>[];
  /** What a job's receipt is verified from, with its policy's appraisal: which launchers count. */
  readonly rootsOf: (job: VerifiedObject<Job>) => Promise<ReceiptRoots>;
  readonly nowMs: number;
};

/** The owner's signed jobs with release direct that write into a dataset. @throws launch.job */
export async function directJobsOf(
  workspace: Workspace,
  dataset: string,
): Promise<readonly VerifiedObject<Job>[]> {
  const { project, owner } = workspace;
  const names = Object.entries(project.config.jobs)
    .filter(([, job]) => job.release === "direct" && job.output === dataset)
    .map(([name]) => name);
  if (names.length === 0)
    throw new PpmlError(
      "launch.job",
      `no job of ppml.yaml with release direct writes into ${dataset}: results of other jobs are accepted by the broker`,
    );
  return await Promise.all(
    names.map(async (name) => {
      const envelope = await loadSignedJob(project, name);
      const signers = [owner.publicJwk];
      return verifyObject({ kind: "job", schema: jobSchema, envelope, signers });
    }),
  );
}

/**
 * Finds the latest result above a version that waits in a store and is what it says: a manifest signed by
 * a TEE's key, whose receipt verifies from the pinned roots, for a job that the owner signed. Whoever
 * writes into the store may have put others beside it: those are passed over.
 * @throws open.manifest where none waits; receipt.invalid with the reason where none of them holds
 */
export async function findWaiting(
  store: Store,
  above: number,
  claim: ResultClaim,
): Promise<WaitingResult> {
  const names: string[] = [];
  for await (const { name } of store.list(""))
    if ((pendingVersionOf(name) ?? 0) > above) names.push(name);
  names.sort((a, b) => (pendingVersionOf(b) ?? 0) - (pendingVersionOf(a) ?? 0));
  const refusals: PpmlError[] = [];
  for (const name of names)
    try {
      return await checkWaiting(store, name, claim);
    } catch (error) {
      if (!isPpmlError(error) || error.code === "store.io") throw error;
      refusals.push(error);
    }
  const [first] = refusals;
  if (first === undefined)
    throw new PpmlError(
      "open.manifest",
      `no result waits that is newer than version ${above}: run the job first`,
    );
  throw new PpmlError("receipt.invalid", `${names[0] ?? ""} is not accepted: ${first.message}`, {
    cause: first,
    detail: { code: first.code, waiting: names.length },
  });
}

async function checkWaiting(
  store: Store,
  name: string,
  claim: ResultClaim,
): Promise<WaitingResult> {
  const envelope = await loadEnvelope(store, name);
  const waiting = { version: pendingVersionOf(name) ?? 0, digest: envelopeDigest(envelope) };
  const receipt = await loadReceipt(store, waitingReceiptName(waiting));
  const job = jobOf(receipt, claim.jobs);
  const roots = await claim.rootsOf(job);
  const report = await verifyReceiptFile({ file: receipt, roots, nowMs: claim.nowMs });
  const failed = report.checks.find(({ outcome }) => outcome === "failed");
  if (failed !== undefined)
    throw new PpmlError("receipt.invalid", `its receipt's ${failed.check}: ${failed.detail}`);
  if (report.receipt.predicateType !== RESULT_PREDICATE)
    throw new PpmlError("receipt.invalid", "its receipt is not that of a result");
  const manifest = checkSpeaksOf(envelope, report.receipt, job.payload);
  return { manifest, receipt, report };
}

/** That manifest, receipt and signed job speak of one result. @throws receipt.invalid format.signature */
function checkSpeaksOf(
  envelope: Envelope,
  { predicate }: ResultReceipt,
  { output }: Job,
): Manifest {
  const { kty, crv, x, y } = predicate.runtimeData.keys[1];
  const signers = [{ kty, crv, x, y }];
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

/** The signed job that an unverified receipt names. @throws receipt.invalid */
function jobOf({ receipt }: ReceiptFile, jobs: ResultClaim["jobs"]): VerifiedObject<Job> {
  const { payload } = peekObject({ kind: "receipt", schema: receiptSchema, envelope: receipt });
  const digest = payload.predicateType === RESULT_PREDICATE ? payload.predicate.job.digest : "";
  const job = jobs.find((one) => one.digest === digest);
  if (job !== undefined) return job;
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
