import { isPpmlError, PpmlError, utf8 } from "../base/index.ts";
import { RECEIPT_NAME } from "../format/manifest.ts";
import type { ReceiptFile } from "../format/receipt.ts";
import { reportDataOf } from "../format/runtime-data.ts";
import { signObject } from "../format/signed-object.ts";
import type { EcPublicJwk } from "../format/schema.ts";
import { openGrant } from "../open/open-grant.ts";
import { isRefusal, publishManifest } from "../seal/publish-manifest.ts";
import type { PublishedManifest } from "../seal/index.ts";
import type { BrokerClient } from "./broker-client.ts";
import { floorOf } from "./floor-of.ts";
import type { AskingJob, FinishedJob, JobAuthority, MadeResult, Release } from "./job-state.ts";
import { resultStatement } from "./result-statement.ts";
import { makeTeeKeys, runtimeDataOf } from "./tee-keys.ts";

type ReleasePorts = Parameters<JobAuthority["release"]>[1];

/** A broker as the authority: it decides by the owner's policy, and enters each result in its log. */
export function brokerAuthority(broker: BrokerClient, releaseRoot: EcPublicJwk): JobAuthority {
  return {
    checkJob: ({ payload }) => {
      if (payload.floors === undefined) return;
      throw new PpmlError(
        "launch.job",
        `the job ${payload.name} carries manifest floors of its own, as for a run without a broker: sign it again for one with a broker, which knows them`,
      );
    },
    floor: (_, datasetId) => broker.floor(datasetId),
    release: (asking, launcher) => release(asking, { broker, releaseRoot, launcher }),
    nextVersion: async ({ floors }, { datasetId }) => floorOf(floors, datasetId).minVersion + 1,
    publish: (finished, made) => publish(broker, finished, made),
  };
}

async function release(
  { request, job, candidates }: AskingJob,
  by: {
    readonly broker: BrokerClient;
    readonly releaseRoot: EcPublicJwk;
    readonly launcher: ReleasePorts;
  },
): Promise<Release> {
  const { broker, releaseRoot, launcher } = by;
  const { config, tell } = launcher;
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
  const { inputs, output } = job.payload;
  const { jwe } = await broker.release({
    v: 1,
    job: request.job,
    runtimeData,
    evidence,
    keys: wanted,
    datasets: [...new Set([...inputs.map((input) => input.datasetId), output.datasetId])],
  });
  const opened = await openGrant({
    jwe,
    recipientKey: keys.encryption,
    releaseRoot,
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
    floors: grant.floors,
    policy: grant.policy,
    logIndex: grant.logIndex,
    localKeys: new Map(
      grant.keys.flatMap(({ id, kekId }) => {
        const key = opened.keys.get(id);
        return key === undefined ? [] : [[id, { kekId, key }] as const];
      }),
    ),
    signer: keys.signing,
    runtimeData,
    evidence,
    [Symbol.dispose]: () => {
      opened[Symbol.dispose]();
    },
  };
}

/**
 * Publishes the result's manifest, signed by the TEE's own key. Accepted it is with its receipt, which
 * enters the broker's log in the same transaction: no result is the latest without a receipt.
 */
async function publish(
  broker: BrokerClient,
  finished: FinishedJob,
  made: MadeResult,
): Promise<ReceiptFile> {
  const { release: of, store } = finished;
  const { manifest } = made;
  const entered: ReceiptFile[] = [];
  await publishManifest({
    store,
    manifest,
    signer: of.signer,
    authority: {
      accept: async (published) => {
        entered.push(await enterReceipt(broker, finished, { ...made, published }));
      },
      pinned: async () => (await broker.floor(manifest.datasetId)).minDigest,
    },
  });
  const [receiptFile] = entered;
  if (receiptFile === undefined)
    throw new PpmlError("base.internal", "a result was published without its receipt");
  await store.put(RECEIPT_NAME, [utf8(`${JSON.stringify(receiptFile)}\n`)]);
  finished.launcher.tell({
    event: "step",
    step: "receipt",
    text: `result ${manifest.name} v${manifest.version} receipted: log entry ${receiptFile.inclusion?.index ?? "unknown"}`,
  });
  return receiptFile;
}

/** Has the receipt entered in the log; a version that another run was faster with is refused. */
async function enterReceipt(
  broker: BrokerClient,
  finished: FinishedJob,
  made: MadeResult & { readonly published: PublishedManifest },
): Promise<ReceiptFile> {
  const { release: of, store } = finished;
  const { manifest, envelope, digest } = made.published;
  const receipt = signObject("receipt", resultStatement(finished, { ...made, digest }), of.signer);
  try {
    const { inclusion } = await broker.postReceipt({ v: 1, receipt, manifest: envelope });
    return { v: 1, receipt, inclusion };
  } catch (cause) {
    if (!isRefusal(cause)) throw cause;
    for (const name of finished.fileNames) await store.delete(name).catch(() => undefined);
    const isOvertaken =
      isPpmlError(cause, "broker.floor") &&
      (await broker.floor(manifest.datasetId)).minVersion >= manifest.version;
    if (!isOvertaken) throw cause;
    const message = `another run published a result of ${manifest.name} while this one ran: that one stands; run the job again for a newer one`;
    throw new PpmlError("store.conflict", message, { cause });
  }
}
