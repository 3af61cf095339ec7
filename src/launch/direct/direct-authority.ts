import { randomBytes } from "node:crypto";
import { fromBase64Url, isPpmlError, PpmlError, Secret, utf8 } from "../../base/index.ts";
import { systemHttp } from "../../attest/collateral/http.ts";
import {
  MANIFEST_NAME,
  manifestSchema,
  pendingManifestName,
  pendingVersionOf,
  versionOfName,
  waitingReceiptName,
} from "../../format/manifest.ts";
import type { ReceiptFile } from "../../format/receipt.ts";
import { envelopeDigest, peekObject, signObject } from "../../format/signed-object.ts";
import { loadEnvelope } from "../../seal/stored-manifest.ts";
import type { Store } from "../../store/index.ts";
import { floorOf } from "../floor-of.ts";
import type { AskingJob, FinishedJob, JobAuthority, MadeResult, Release } from "../job-state.ts";
import type { DirectConfig, HandedNetwork } from "../messages.ts";
import { resultStatement } from "../result-statement.ts";
import { grantDirectly, requireDirectJob } from "./direct-grant.ts";
import { httpsFetch } from "./https-fetch.ts";
import { makeKekTeeKeys } from "./kek-keys.ts";

/** A store's versions count up from 1; one beyond this is nobody's who counts. */
const MAX_VERSION = 2 ** 31;

/** What the host gives a job that runs without a broker. */
export type DirectHost = {
  /** For Key Vault: it gives the right to ask, and opens nothing by itself. */
  readonly vaultToken: string;
  readonly network: HandedNetwork;
  readonly keyVersions: Readonly<Record<string, string>>;
};

/**
 * Nobody as the authority: Key Vault gives each KEK to the measured launcher by its own release policy,
 * who may sign jobs is in the measured configuration, and the floors are in the signed job. No job policy
 * applies, and the receipt says so. The result waits in its store until its owner accepts it.
 * @see docs/protocol.md section "Without a broker"
 */
export function directAuthority(config: DirectConfig, host: DirectHost): JobAuthority {
  return {
    checkJob: (job) => void requireDirectJob(job, config.signers),
    floor: async ({ floors = [] }, datasetId) => floorOf(floors, datasetId),
    release: (asking, launcher) => release(asking, { config, host, launcher }),
    nextVersion: async (_, { store }) => (await highestVersion(store)) + 1,
    publish,
  };
}

async function release(
  { job, candidates }: AskingJob,
  by: {
    readonly config: DirectConfig;
    readonly host: DirectHost;
    readonly launcher: Parameters<JobAuthority["release"]>[1];
  },
): Promise<Release> {
  const { config, host, launcher } = by;
  const keys = await makeKekTeeKeys();
  using accessToken = Secret.take(utf8(host.vaultToken));
  const wrapped = candidates.flatMap((candidate) => candidate.keys);
  const granted = await grantDirectly({
    job,
    signers: config.signers,
    wrapped,
    keyVersions: host.keyVersions,
    attester: launcher.attester,
    keys,
    nonce: randomBytes(32).toString("base64url"),
    attestation: config.attestation,
    accessToken,
    vaultRoots: config.vaultRoots.map((der) => fromBase64Url(der)),
    http: { ...systemHttp, fetch: httpsFetch(host.network), now: launcher.now },
  });
  const { runtimeData, evidence } = granted.attested;
  launcher.tell({
    event: "step",
    step: "evidence",
    text: `${evidence.type} Evidence binds the job, a nonce and the TEE's own keys; ${config.attestation} made a token of it`,
  });
  const keks = new Set(wrapped.map(({ kekId }) => kekId));
  launcher.tell({
    event: "step",
    step: "release",
    text: `the vault released ${keks.size} KEK(s) by their own release policies, for ${granted.localKeys.size} key(s): NO JOB POLICY APPLIED`,
  });
  return {
    floors: granted.floors,
    policy: null,
    logIndex: null,
    localKeys: granted.localKeys,
    signer: keys.signing,
    runtimeData,
    evidence,
    [Symbol.dispose]: () => granted[Symbol.dispose](),
  };
}

/** The highest version that the store names: nobody vouches for it, and no result is to lie over another. */
async function highestVersion(store: Store): Promise<number> {
  let highest = await placedVersion(store);
  for await (const { name } of store.list(""))
    highest = Math.max(highest, versionOfName(name) ?? 0, pendingVersionOf(name) ?? 0);
  if (highest < MAX_VERSION) return highest;
  throw new PpmlError(
    "open.manifest",
    `the result's store names version ${highest}, and none counts so far: look who writes into it, and delete what is not yours`,
  );
}

async function placedVersion(store: Store): Promise<number> {
  try {
    const envelope = await loadEnvelope(store, MANIFEST_NAME);
    return peekObject({ kind: "manifest", schema: manifestSchema, envelope }).payload.version;
  } catch (error) {
    if (isPpmlError(error, "store.not_found")) return 0;
    // What lies there is no manifest, so that it has no version.
    if (isPpmlError(error) && error.code.startsWith("format.")) return 0;
    throw error;
  }
}

/** The receipt first: a manifest that waits has its receipt beside it. */
async function publish(finished: FinishedJob, made: MadeResult): Promise<ReceiptFile> {
  const { store, release: of, launcher } = finished;
  const { manifest } = made;
  const envelope = signObject("manifest", manifest, of.signer);
  const digest = envelopeDigest(envelope);
  const waiting = { version: manifest.version, digest };
  const statement = resultStatement(finished, { ...made, digest });
  const file: ReceiptFile = {
    v: 1,
    receipt: signObject("receipt", statement, of.signer),
    inclusion: null,
  };
  await store.put(waitingReceiptName(waiting), [textOf(file)]);
  await store.put(pendingManifestName(waiting), [textOf(envelope)]);
  launcher.tell({
    event: "step",
    step: "receipt",
    text: `result ${manifest.name} v${manifest.version} receipted by the TEE alone, in no log; it waits for its owner's acceptance`,
  });
  return file;
}

function textOf(value: unknown): Uint8Array {
  return utf8(`${JSON.stringify(value)}\n`);
}
