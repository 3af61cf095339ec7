import { randomBytes } from "node:crypto";
import { fromBase64Url, isPpmlError, PpmlError, Secret, utf8 } from "../../base/index.ts";
import { systemHttp } from "../../attest/collateral/http.ts";
import {
  MANIFEST_NAME,
  manifestSchema,
  MAX_WAITING,
  pendingManifestName,
  pendingVersionOf,
  versionOfName,
  waitingReceiptName,
} from "../../format/manifest.ts";
import type { Manifest } from "../../format/manifest.ts";
import type { ReceiptFile } from "../../format/receipt.ts";
import { envelopeDigest, signObject, verifyObject } from "../../format/signed-object.ts";
import { acceptManifest } from "../../open/accept-manifest.ts";
import { loadEnvelope } from "../../seal/stored-manifest.ts";
import type { Store } from "../../store/index.ts";
import { floorOf } from "../floor-of.ts";
import type { AskingJob, FinishedJob, JobAuthority, MadeResult, Release } from "../job-state.ts";
import type { DirectConfig, HandedNetwork } from "../messages.ts";
import { resultStatement } from "../result-statement.ts";
import { grantDirectly, requireDirectJob } from "./direct-grant.ts";
import { httpsFetch } from "./https-fetch.ts";
import { makeKekTeeKeys } from "./kek-keys.ts";

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
    nextVersion: ({ floors }, { datasetId, store }) => {
      const floor = floors.find((one) => one.datasetId === datasetId);
      return freeVersion(store, { signers: config.signers, above: floor?.minVersion ?? 0 });
    },
    publish: (finished, made) => publish(finished, made, config.signers),
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
  const floors = requireDirectJob(job, config.signers);
  // Before anything is asked for: whoever writes into the store names other vaults and keys otherwise.
  for (const { envelope, input } of candidates)
    acceptManifest(envelope, floorOf(floors, input.datasetId));
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
    vaultHost: config.vault,
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

/**
 * The first version above the one in force, and above those that wait. The signed job's floor and a
 * manifest that a signer of the measured configuration signed say what is in force; names far above it are
 * not counted, so that nobody who writes into the store makes versions run out.
 */
async function freeVersion(
  store: Store,
  from: { readonly signers: DirectConfig["signers"]; readonly above: number },
): Promise<number> {
  const inForce = Math.max(from.above, await versionInForce(store, from.signers));
  let highest = inForce;
  for await (const { name } of store.list("")) {
    const version = versionOfName(name) ?? pendingVersionOf(name) ?? 0;
    if (version <= inForce + MAX_WAITING) highest = Math.max(highest, version);
  }
  if (highest < inForce + MAX_WAITING) return highest + 1;
  throw new PpmlError(
    "open.manifest",
    `the result's store holds ${MAX_WAITING} versions that wait above version ${inForce}: accept one with \`ppml data accept\`; where none is yours, delete v${inForce + 1}/ to v${highest}/ and the manifests of those versions`,
  );
}

async function versionInForce(store: Store, signers: DirectConfig["signers"]): Promise<number> {
  try {
    const envelope = await loadEnvelope(store, MANIFEST_NAME);
    return verifyObject({ kind: "manifest", schema: manifestSchema, envelope, signers }).payload
      .version;
  } catch (error) {
    if (isPpmlError(error, "store.not_found")) return 0;
    // What lies there is no manifest of the owner's.
    if (isPpmlError(error) && error.code.startsWith("format.")) return 0;
    throw error;
  }
}

/** The receipt first: by it a run has the version, and a manifest that waits has its receipt beside it. */
async function publish(
  finished: FinishedJob,
  made: MadeResult,
  signers: DirectConfig["signers"],
): Promise<ReceiptFile> {
  const { store, release: of, launcher } = finished;
  const { manifest } = made;
  const { version } = manifest;
  const envelope = signObject("manifest", manifest, of.signer);
  const digest = envelopeDigest(envelope);
  const statement = resultStatement(finished, { ...made, digest });
  const file: ReceiptFile = {
    v: 1,
    receipt: signObject("receipt", statement, of.signer),
    inclusion: null,
  };
  try {
    if ((await versionInForce(store, signers)) >= version) throw overtaken(manifest);
    await store
      .put(waitingReceiptName(version), [textOf(file)], { ifNoneMatch: true })
      .catch((cause: unknown) => {
        throw isPpmlError(cause, "store.exists") ? overtaken(manifest, cause) : cause;
      });
  } catch (error) {
    for (const name of finished.fileNames) await store.delete(name).catch(() => undefined);
    throw error;
  }
  await store.put(pendingManifestName({ version, digest }), [textOf(envelope)]);
  launcher.tell({
    event: "step",
    step: "receipt",
    text: `result ${manifest.name} v${version} receipted by the TEE alone, in no log; it waits for its owner's acceptance`,
  });
  return file;
}

function overtaken({ name, version }: Manifest, cause?: unknown): PpmlError {
  return new PpmlError(
    "store.conflict",
    `another run made version ${version} of ${name} while this one ran: that one stands; run the job again for a newer one`,
    { cause },
  );
}

function textOf(value: unknown): Uint8Array {
  return utf8(`${JSON.stringify(value)}\n`);
}
