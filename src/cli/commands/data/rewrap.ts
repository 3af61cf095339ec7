import { PpmlError } from "../../../base/index.ts";
import type { KekPublicKey } from "../../../format/kek.ts";
import { manifestSchema } from "../../../format/manifest.ts";
import { verifyObject } from "../../../format/signed-object.ts";
import { proveRewrapped, rewrapDataset } from "../../../seal/index.ts";
import type { RewrapProof } from "../../../seal/index.ts";
import { withBroker } from "../../broker-process.ts";
import { defineCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { renderTable } from "../../output/table.ts";
import { loadStoredManifest } from "../../stored-manifest.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";
import type { Workspace } from "../../workspace.ts";

type Rewrapped = {
  readonly dataset: string;
  readonly version: number;
  readonly changed: boolean;
  readonly proof: RewrapProof;
};

/** `ppml data rewrap [NAME...]`: moves sealed data to the current versions of its KEKs. */
export const command = defineCommand<VaultFlags, string[]>({
  parameters: {
    flags: vaultFlags,
    positional: {
      kind: "array",
      parameter: {
        placeholder: "DATASET",
        brief: "Datasets of ppml.yaml (otherwise: all that are sealed with the owner's key)",
        parse: String,
      },
    },
  },
  description:
    "After ppml key rotate: rewrites headers and footers, no data page, and signs the manifest\n" +
    "anew. Interrupted, it goes on where it was when it is called again. Results, whose manifest a\n" +
    "TEE signed, are not re-wrapped.",
  async run(context, flags, ...names) {
    using workspace = await openWorkspace(context, flags);
    const all = names.length === 0;
    const wanted = all ? Object.keys(workspace.project.config.datasets) : names;
    const done = await withBroker(workspace, async ({ client }) => {
      const results: Rewrapped[] = [];
      for (const name of wanted) {
        const raiseFloor = client.raiseFloor;
        const one = await rewrapOne(context, { workspace, name, isAsked: !all, raiseFloor });
        if (one !== null) results.push(one);
      }
      return results;
    });
    const isWhole = done.every(({ proof }) => proof.oldFound.length === 0);
    return {
      data: { rewrapped: done },
      human: () => summary(context, done),
      exitCode: isWhole ? 0 : 1,
    };
  },
});

async function rewrapOne(
  context: CliContext,
  options: {
    readonly workspace: Workspace;
    readonly name: string;
    readonly isAsked: boolean;
    readonly raiseFloor: Parameters<Parameters<typeof withBroker>[1]>[0]["client"]["raiseFloor"];
  },
): Promise<Rewrapped | null> {
  const { workspace, name, isAsked } = options;
  const { owner, vault } = workspace;
  const store = await workspace.store(name);
  const stored = await loadStoredManifest(store, name);
  if (!isAsked && stored?.unverified.keyId !== owner.keyId) return null;
  if (stored === null)
    throw new PpmlError("open.manifest", `${name} is not sealed yet: ppml data seal ${name}`);
  const { envelope: object } = stored;
  const signers = [owner.publicJwk];
  const envelope = verifyObject({
    kind: "manifest",
    schema: manifestSchema,
    envelope: object,
    signers,
  });
  if (envelope.payload.datasetId !== workspace.datasetId(name))
    throw new PpmlError("open.manifest", `the store of ${name} holds another dataset's manifest`);
  const targetKeks = new Map<string, KekPublicKey>();
  for (const { kekId } of envelope.payload.groups)
    targetKeks.set(kekId, await vault.publicKey(kekId));
  using progress = context.progress({
    label: `re-wrapping ${name}`,
    total: envelope.payload.files.length,
  });
  const published = await rewrapDataset({
    store,
    envelope,
    vault,
    targetKeks,
    signer: owner,
    nowMs: context.clock(),
    onProgress: (files) => {
      progress.update(files);
    },
  });
  // Also where nothing changed: an earlier run may have ended between the manifest and the floor.
  await options.raiseFloor(published?.envelope ?? object);
  const manifest = published?.manifest ?? envelope.payload;
  const currentVersions = new Map(
    [...targetKeks.values()].map(({ kekId, kekVersion }) => [kekId, kekVersion]),
  );
  const proof = await proveRewrapped({ store, manifest, vault, currentVersions });
  return { dataset: name, version: manifest.version, changed: published !== null, proof };
}

function summary(context: CliContext, done: readonly Rewrapped[]): string {
  const [first] = done;
  if (first === undefined) return "No dataset is sealed with the owner's key: ppml data seal\n";
  const table = renderTable({
    columns: [
      { title: "DATASET" },
      { title: "VERSION", align: "right" },
      { title: "RE-WRAPPED" },
      { title: "OBJECTS", align: "right" },
      { title: "WRAPS", align: "right" },
      { title: "OLD", align: "right" },
      { title: "NOT READ", align: "right" },
    ],
    rows: done.map(({ dataset, version, changed, proof }) => [
      dataset,
      `v${version}`,
      changed ? "now" : "was current",
      String(proof.objects),
      String(proof.wrapsFound.reduce((sum, { count }) => sum + count, 0)),
      String(proof.oldFound.length),
      String(proof.notRead.length),
    ]),
    style: context.style,
  });
  return `${table}\n${first.proof.limits}\n`;
}
