import { generateKeyPairSync } from "node:crypto";
import { isPpmlError, PpmlError, toTimestamp } from "../base/index.ts";
import type { ManifestFloor } from "../format/grant.ts";
import { ecPublicJwkOf } from "../format/jwk.ts";
import { manifestSchema } from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import type { OwnerRequest } from "../format/protocol.ts";
import { envelopeDigest, peekObject, signObject } from "../format/signed-object.ts";
import type { Envelope, VerifiedObject } from "../format/signed-object.ts";
import { loadManifest, namingDataset, namingHolder } from "../launch/index.ts";
import { acceptManifest, checkListing, openGrant } from "../open/index.ts";
import type { OpenedGrant } from "../open/index.ts";
import type { Store } from "../store/index.ts";
import type { RunningBroker } from "./broker-process.ts";
import { settleDataset } from "./owner-manifests.ts";
import { projectRoots } from "./pinned-roots.ts";
import type { Workspace } from "./workspace.ts";

/** A dataset that the owner may open: its accepted manifest and the released local keys. */
export type OwnerRelease = Disposable & {
  readonly manifest: VerifiedObject<Manifest>;
  readonly grant: OpenedGrant;
  readonly store: Store;
};

/**
 * Asks the broker for the keys of a dataset by the owner's own signed request: a release like any
 * other, by a policy, with its receipt.
 * @throws release.owner, release.not_granted, release.policy, open.manifest, open.rolled_back
 */
export async function releaseToOwner(
  workspace: Workspace,
  options: {
    readonly broker: RunningBroker;
    readonly dataset: string;
    readonly policy: string;
    readonly purpose: string;
    readonly nowMs: number;
  },
): Promise<OwnerRelease> {
  const { broker, dataset, nowMs } = options;
  const store = await workspace.store(dataset);
  const known = await settleDataset(workspace, { client: broker.client, dataset });
  const envelope = await loadManifest(store, known).catch((cause: unknown) => {
    if (!isPpmlError(cause, "store.not_found")) throw namingDataset(cause, dataset);
    throw new PpmlError("open.manifest", `${dataset} holds no manifest: seal it, or run its job`, {
      cause,
    });
  });
  const { payload } = peekObject({ kind: "manifest", schema: manifestSchema, envelope });
  const recipient = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const { nonce, mode } = await broker.client.challenge();
  const datasetId = workspace.datasetId(dataset);
  const request: OwnerRequest = {
    v: 1,
    nonce,
    policy: options.policy,
    purpose: options.purpose,
    recipient: ecPublicJwkOf(recipient),
    keys: payload.localKeys.map(({ id, kekId, kekVersion, wrapped }) => ({
      id,
      kekId,
      kekVersion,
      wrapped,
    })),
    datasets: [datasetId],
    issuedAt: toTimestamp(nowMs),
  };
  const signed = signObject("owner-request", request, workspace.owner);
  const { jwe } = await broker.client.ownerRelease(signed).catch((cause: unknown) => {
    throw namingHolder(cause, [{ dataset, keys: request.keys }]);
  });
  const { releaseRoot } = await projectRoots(workspace.project);
  const grant = await openGrant({
    jwe,
    recipientKey: recipient,
    releaseRoot,
    expected: { nonce, requestKind: "owner", requestDigest: envelopeDigest(signed), mode },
    nowMs,
  });
  try {
    const floor = grant.grant.floors.find((one) => one.datasetId === datasetId);
    if (floor === undefined)
      throw new PpmlError("release.response", `the grant names no floor for ${dataset}`);
    return {
      manifest: await acceptStored(store, { envelope, floor }),
      grant,
      store,
      [Symbol.dispose]: () => {
        grant[Symbol.dispose]();
      },
    };
  } catch (error) {
    grant[Symbol.dispose]();
    throw error;
  }
}

async function acceptStored(
  store: Store,
  of: { readonly envelope: Envelope; readonly floor: ManifestFloor },
): Promise<VerifiedObject<Manifest>> {
  const manifest = acceptManifest(of.envelope, of.floor);
  const stored: string[] = [];
  for await (const object of store.list("")) stored.push(object.name);
  checkListing(manifest, stored);
  return manifest;
}
