import { toTimestamp } from "../../src/base/index.ts";
import { manifestRoot } from "../../src/format/manifest.ts";
import type { Manifest } from "../../src/format/manifest.ts";
import type { ResultPredicate } from "../../src/format/receipt.ts";
import { envelopeDigest, signObject } from "../../src/format/signed-object.ts";
import type { Envelope } from "../../src/format/signed-object.ts";
import { openGrant } from "../../src/open/open-grant.ts";
import { makeResultReceipt, signReceipt } from "../../src/receipt/make-receipt.ts";
import {
  call,
  jobOf,
  manifestOf,
  NOW_MS,
  OUTPUT_DATASET,
  requestOf,
  SQL_DIGEST,
  wrapUnder,
} from "./fixture.ts";
import type { Fixture, Tee } from "./fixture.ts";
import type { Job } from "../../src/format/job.ts";

/** A granted release and what its TEE then knows. */
export type Granted = {
  readonly tee: Tee;
  readonly job: Job;
  readonly jobDigest: string;
  readonly asked: Awaited<ReturnType<typeof requestOf>>["request"];
  readonly logIndex: number;
  readonly policyDigest: string;
};

/** Has the broker release keys to a fresh TEE. */
export async function granted(fixture: Fixture, job: Job = jobOf(fixture)): Promise<Granted> {
  const { request, tee, jobDigest, nonce } = await requestOf(fixture, { job });
  const { body, message } = await call(fixture.app, "/v1/release", request);
  if (message !== "") throw new Error(message);
  using opened = await openGrant({
    jwe: String(body["jwe"]),
    recipientKey: tee.encryption,
    releaseRoot: fixture.state.db.identity.releaseRoot,
    expected: { nonce, requestKind: "job", requestDigest: jobDigest, mode: "simulation" },
    nowMs: NOW_MS,
  });
  const { logIndex, policy } = opened.grant;
  return { tee, job, jobDigest, asked: request, logIndex, policyDigest: policy.digest };
}

/** The manifest of a result: one file under the result KEK. */
export async function resultManifest(
  fixture: Fixture,
  release: Granted,
  changes: Partial<Manifest> = {},
): Promise<Manifest> {
  const { key } = await wrapUnder(fixture, fixture.keks.result);
  const manifest = manifestOf(fixture, {
    datasetId: OUTPUT_DATASET,
    name: release.job.output.name,
    localKeys: [{ ...key, group: "all" }],
    ...changes,
  });
  return { ...manifest, merkleRoot: manifestRoot(manifest.files) };
}

/** What the TEE says of its result. */
export function resultPredicate(
  fixture: Fixture,
  made: { readonly release: Granted; readonly manifest: Envelope; readonly content: Manifest },
): ResultPredicate {
  const { release, manifest, content } = made;
  const { job } = release;
  return {
    v: 1,
    mode: "simulation",
    profile: "sim",
    simulated: true,
    job: { name: job.name, digest: release.jobDigest, purpose: job.purpose, code: [SQL_DIGEST] },
    policy: { name: job.policy, digest: release.policyDigest },
    engine: { name: "sql", version: "1" },
    inputs: [],
    output: {
      name: job.output.name,
      datasetId: content.datasetId,
      version: content.version,
      manifestDigest: envelopeDigest(manifest),
      merkleRoot: content.merkleRoot,
      kekThumbprint: fixture.resultThumbprint,
      rows: 3,
    },
    runtimeData: release.asked.runtimeData,
    evidence: release.asked.evidence,
    releaseLogIndex: release.logIndex,
    startedAt: toTimestamp(NOW_MS),
    finishedAt: toTimestamp(NOW_MS + 1000),
  };
}

/** A good receipt request of a release, with parts changed. */
export async function receiptRequest(
  fixture: Fixture,
  release: Granted,
  changes: {
    readonly manifest?: Partial<Manifest>;
    readonly predicate?: Partial<ResultPredicate>;
    readonly output?: Partial<ResultPredicate["output"]>;
    readonly manifestSigner?: Tee["signing"];
    readonly receiptSigner?: Tee["signing"];
  } = {},
): Promise<{ readonly v: 1; readonly receipt: Envelope; readonly manifest: Envelope }> {
  const content = await resultManifest(fixture, release, changes.manifest);
  const signing = release.tee.signing;
  const manifest = signObject("manifest", content, changes.manifestSigner ?? signing);
  const said = resultPredicate(fixture, { release, manifest, content });
  const predicate = {
    ...said,
    output: { ...said.output, ...changes.output },
    ...changes.predicate,
  };
  const receipt = signReceipt(makeResultReceipt(predicate), changes.receiptSigner ?? signing);
  return { v: 1, receipt, manifest };
}
