import { isPpmlError, PpmlError } from "../../../base/index.ts";
import { MANIFEST_NAME, manifestSchema } from "../../../format/manifest.ts";
import type { Manifest } from "../../../format/manifest.ts";
import { verifyObject } from "../../../format/signed-object.ts";
import { loadManifest } from "../../../launch/index.ts";
import { sealDataset } from "../../../seal/index.ts";
import type { Store } from "../../../store/index.ts";
import { withBroker } from "../../broker-process.ts";
import type { RunningBroker } from "../../broker-process.ts";
import { defineCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { renderTable } from "../../output/table.ts";
import { ownersAuthority, settleDataset } from "../../owner-manifests.ts";
import { collectInputs } from "../../seal-inputs.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";
import type { Workspace } from "../../workspace.ts";

type Sealed = {
  readonly dataset: string;
  readonly version: number;
  readonly files: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly manifestDigest: string;
};

/** `ppml data seal [NAME...]`: seals the datasets that have a source. */
export const command = defineCommand<VaultFlags, string[]>({
  parameters: {
    flags: vaultFlags,
    positional: {
      kind: "array",
      parameter: {
        placeholder: "DATASET",
        brief: "Datasets of ppml.yaml (otherwise: all that have a source)",
        parse: String,
      },
    },
  },
  description:
    "Each file gets a key of its own, each column group its KEK; the manifest is signed with the\n" +
    "owner's key, and the broker accepts no older one from then on.",
  async run(context, flags, ...names) {
    using workspace = await openWorkspace(context, flags);
    const { datasets } = workspace.project.config;
    const wanted =
      names.length > 0
        ? names
        : Object.keys(datasets).filter((name) => datasets[name]?.source !== undefined);
    if (wanted.length === 0)
      throw new PpmlError("seal.input", "no dataset of ppml.yaml has a source to seal");
    for (const name of wanted) workspace.dataset(name);
    const sealed = await withBroker(workspace, async (broker) => {
      const done: Sealed[] = [];
      for (const name of wanted) done.push(await sealOne(context, { workspace, broker, name }));
      return done;
    });
    return { data: { sealed }, human: () => summary(context, sealed) };
  },
});

async function sealOne(
  context: CliContext,
  options: {
    readonly workspace: Workspace;
    readonly broker: RunningBroker;
    readonly name: string;
  },
): Promise<Sealed> {
  const { workspace, broker, name } = options;
  const config = workspace.dataset(name);
  const store = await workspace.store(name);
  const inputs = await collectInputs(workspace.project, { name, config });
  const total = inputs.reduce((sum, input) => sum + input.size, 0);
  using progress = context.progress({ label: `sealing ${name}`, total });
  const startedMs = context.clock();
  const groups = await Promise.all(
    config.groups.map(async (group) => ({
      name: group.name,
      columns: group.columns ?? null,
      kek: await workspace.kek(group.kek),
    })),
  );
  const published = await sealDataset({
    store,
    datasetId: workspace.datasetId(name),
    name,
    version: (await lastVersion(store, { broker, name, workspace })) + 1,
    groups,
    inputs,
    signer: workspace.owner,
    authority: ownersAuthority(broker.client, workspace.datasetId(name)),
    nowMs: startedMs,
    valuesInPaths: config.valuesInPaths,
    onProgress: (bytes) => {
      progress.update(bytes);
    },
  });
  const { files, version } = published.manifest;
  return {
    dataset: name,
    version,
    files: files.length,
    bytes: files.reduce((sum, file) => sum + file.length, 0),
    seconds: (context.clock() - startedMs) / 1000,
    manifestDigest: published.digest,
  };
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

function summary(context: CliContext, sealed: readonly Sealed[]): string {
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
