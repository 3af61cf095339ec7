import type { BrokerClient } from "../launch/index.ts";
import { settleManifest } from "../seal/index.ts";
import type { ManifestAuthority } from "../seal/index.ts";
import type { ManifestFloor } from "../format/grant.ts";
import type { Workspace } from "./workspace.ts";

/** The broker as the authority over a dataset's manifests that the owner signs. */
export function ownersAuthority(client: BrokerClient, datasetId: string): ManifestAuthority {
  return {
    accept: async ({ envelope }) => {
      await client.raiseFloor(envelope);
    },
    pinned: async () => (await client.floor(datasetId)).minDigest,
  };
}

/**
 * Finishes a dataset's publication that was cut off after the broker had accepted the manifest, and
 * gives the dataset's floor. Every command that seals, re-wraps, runs or opens begins with it.
 * @throws config.invalid, store.io, broker.unavailable
 */
export async function settleDataset(
  workspace: Workspace,
  of: { readonly client: BrokerClient; readonly dataset: string },
): Promise<ManifestFloor> {
  const { client, dataset } = of;
  const datasetId = workspace.datasetId(dataset);
  const floor = await client.floor(datasetId);
  const { pinned } = ownersAuthority(client, datasetId);
  await settleManifest({ store: await workspace.store(dataset), floor, pinned });
  return floor;
}
