import { isPpmlError } from "../base/index.ts";
import { MANIFEST_NAME, manifestSchema } from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import { verifyObject } from "../format/signed-object.ts";
import { loadManifest } from "../launch/index.ts";
import { sealDataset } from "../seal/index.ts";
import type { GroupPlan } from "../seal/index.ts";
import type { Store } from "../store/index.ts";
import type { RunningBroker } from "./broker-process.ts";
import type { DatasetConfig } from "./config/schema.ts";
import type { CliContext } from "./context.ts";
import { lockDataset } from "./dataset-lock.ts";
import { renderTable } from "./output/table.ts";
import { ownersAuthority, settleDataset } from "./owner-manifests.ts";
import { collectInputs } from "./seal-inputs.ts";
import { openSealJournal } from "./seal-journal.ts";
import type { Workspace } from "./workspace.ts";

/** What sealing a dataset came to. */
export type SealedDataset = {
  readonly dataset: string;
  readonly version: number;
  readonly files: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly manifestDigest: string;
  /** Files that an earlier run had finished, and that were not uploaded again. */
  readonly resumed: number;
};

/**
 * Seals a dataset's source into its store and publishes the manifest. Cut off, the next run takes up
 * what was finished: files that are stored, and whose plaintext is as it was.
 * @throws seal.input, seal.plan, and what the store and the broker throw
 */
export async function sealIntoStore(
  context: CliContext,
  options: {
    readonly workspace: Workspace;
    readonly broker: RunningBroker;
    readonly name: string;
    /** In place of the dataset's source in ppml.yaml; absolute paths. */
    readonly source?: DatasetConfig["source"];
  },
): Promise<SealedDataset> {
  const { workspace, broker, name } = options;
  const configured = workspace.dataset(name);
  const config =
    options.source === undefined ? configured : { ...configured, source: options.source };
  const store = await workspace.store(name);
  const inputs = await collectInputs(workspace.project, { name, config });
  const total = inputs.reduce((sum, input) => sum + input.size, 0);
  using _ = await lockDataset(workspace.project, name);
  using progress = context.progress({ label: `sealing ${name}`, total });
  const startedMs = context.clock();
  const groups = await Promise.all(
    config.groups.map(async (group) => ({
      name: group.name,
      columns: group.columns ?? null,
      kek: await workspace.kek(group.kek),
    })),
  );
  const datasetId = workspace.datasetId(name);
  const version = (await lastVersion(store, { broker, name, workspace })) + 1;
  const journal = await openSealJournal(workspace.project, {
    dataset: name,
    plan: { datasetId, version, groups: planOf(groups), store: store.uri },
  });
  const published = await sealDataset({
    store,
    datasetId,
    name,
    version,
    journal,
    groups,
    inputs,
    signer: workspace.owner,
    authority: ownersAuthority(broker.client, datasetId),
    nowMs: startedMs,
    valuesInPaths: config.valuesInPaths,
    onProgress: (bytes) => {
      progress.update(bytes);
    },
  });
  await journal.remove();
  const { files } = published.manifest;
  return {
    dataset: name,
    resumed: journal.found,
    version,
    files: files.length,
    bytes: files.reduce((sum, file) => sum + file.length, 0),
    seconds: (context.clock() - startedMs) / 1000,
    manifestDigest: published.digest,
  };
}

/** What makes a journal another's: what an input is sealed for. */
function planOf(groups: readonly GroupPlan[]) {
  return groups.map(({ name, columns, kek }) => ({
    name,
    columns,
    kekId: kek.kekId,
    kekVersion: kek.kekVersion,
  }));
}

/**
 * The dataset's last version: the broker's floor, or a newer one of the owner's in the store, which a
 * broker restored from a backup does not know. What else the store holds, or that it was emptied or put back, does not matter: sealing
 * is the remedy for it.
 */
async function lastVersion(
  store: Store,
  dataset: { readonly broker: RunningBroker; readonly name: string; readonly workspace: Workspace },
): Promise<number> {
  const { broker, name, workspace } = dataset;
  const datasetId = workspace.datasetId(name);
  const floor = await settleDataset(workspace, { client: broker.client, dataset: name });
  const stored = await ownersManifest(store, workspace);
  return Math.max(floor.minVersion, stored?.datasetId === datasetId ? stored.version : 0);
}

/** The stored manifest if the owner signed it; null for none and for anybody else's. */
async function ownersManifest(store: Store, workspace: Workspace): Promise<Manifest | null> {
  if ((await store.head(MANIFEST_NAME)) === null) return null;
  try {
    const envelope = await loadManifest(store, null);
    const signers = [workspace.owner.publicJwk];
    return verifyObject({ kind: "manifest", schema: manifestSchema, envelope, signers }).payload;
  } catch (error) {
    if (isPpmlError(error) && error.code.startsWith("format.")) return null;
    throw error;
  }
}

/** One line a dataset. */
export function sealSummary(context: CliContext, sealed: readonly SealedDataset[]): string {
  return renderTable({
    columns: [
      { title: "SEALED" },
      { title: "VERSION", align: "right" },
      { title: "FILES", align: "right" },
      { title: "BYTES", align: "right" },
      { title: "SECONDS", align: "right" },
      { title: "MANIFEST" },
    ],
    rows: sealed.map((one) => [
      one.dataset,
      `v${one.version}`,
      String(one.files),
      one.bytes.toLocaleString("en-US"),
      one.seconds.toFixed(1),
      `${one.manifestDigest.slice(0, 16)}…`,
    ]),
    style: context.style,
  });
}
