import { PpmlError } from "../../../base/index.ts";
import type { KekPublicKey } from "../../../format/kek.ts";
import type { BrokerClient } from "../../../launch/index.ts";
import { acceptManifest } from "../../../open/index.ts";
import { proveRewrapped, rewrapDataset } from "../../../seal/index.ts";
import type { RewrapProof } from "../../../seal/index.ts";
import { withBroker } from "../../broker-process.ts";
import { defineCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { lockDataset } from "../../dataset-lock.ts";
import { ownersAuthority, settleDataset } from "../../owner-manifests.ts";
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
    "anew. Tables become files of the new version, so that for a moment the store holds both; readers\n" +
    "see the old version until the new manifest is accepted. Interrupted, call it again. Results, whose manifest a TEE signed, are not re-wrapped: they have to be made again.",
  async run(context, flags, ...names) {
    using workspace = await openWorkspace(context, flags);
    const all = names.length === 0;
    const wanted = all ? Object.keys(workspace.project.config.datasets) : names;
    const results: string[] = [];
    for (const name of wanted)
      if (await isResult(workspace, name)) {
        if (!all) throw resultError(name);
        results.push(name);
        context.talk(context.talkStyle.warn(`${name}: ${RESULTS_STAY}. ${RESULTS_REMEDY}`));
      }
    const done = await withBroker(workspace, async ({ client }) => {
      const rewrapped: Rewrapped[] = [];
      for (const name of wanted.filter((each) => !results.includes(each))) {
        const one = await rewrapOne(context, { workspace, name, isAsked: !all, client });
        if (one !== null) rewrapped.push(one);
      }
      return rewrapped;
    });
    const isWhole = done.every(({ proof }) => proof.oldFound.length === 0);
    return {
      data: { rewrapped: done, results },
      human: () => summary(context, done),
      exitCode: isWhole ? 0 : 1,
    };
  },
});

const RESULTS_STAY =
  "a result, not re-wrapped: its manifest is signed by the TEE that made it, and nobody can sign it anew without losing that proof";
const RESULTS_REMEDY =
  "keep the old version of its KEK enabled as long as the result is needed; to be rid of it, make the result again under the current version, which its job and policy have to name: ppml job sign, ppml policy draft --force, ppml policy apply, ppml run";

/** Whether a dataset is what a job's TEE sealed: nothing to seal of ours, and not our signature. */
async function isResult(workspace: Workspace, name: string): Promise<boolean> {
  if (workspace.dataset(name).source !== undefined) return false;
  const stored = await loadStoredManifest(await workspace.store(name), name);
  return stored !== null && stored.unverified.keyId !== workspace.owner.keyId;
}

function resultError(name: string): PpmlError {
  return new PpmlError("key.not_permitted", `${name} is ${RESULTS_STAY}`, {
    detail: { dataset: name, remedy: RESULTS_REMEDY },
  });
}

async function rewrapOne(
  context: CliContext,
  options: {
    readonly workspace: Workspace;
    readonly name: string;
    readonly isAsked: boolean;
    readonly client: BrokerClient;
  },
): Promise<Rewrapped | null> {
  const { workspace, name, isAsked, client } = options;
  const { owner, vault } = workspace;
  using _ = await lockDataset(workspace.project, name);
  const store = await workspace.store(name);
  const floor = await settleDataset(workspace, { client, dataset: name });
  const stored = await loadStoredManifest(store, name);
  if (stored === null) {
    if (!isAsked) return null;
    throw new PpmlError("open.manifest", `${name} is not sealed yet: ppml data seal ${name}`);
  }
  // The owner's own data, whoever signed the manifest now: left out silently, it would look done.
  if (stored.unverified.keyId !== owner.keyId)
    throw new PpmlError(
      "open.manifest",
      `the manifest of ${name} is signed by ${stored.unverified.keyId}, not by the owner: it was replaced; put the right one back, or seal again`,
    );
  const { envelope: object } = stored;
  // A store that was rolled back must not become the latest version by being signed anew.
  const envelope = acceptManifest(object, { ...floor, signers: [owner.publicJwk] });
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
    version: Math.max(floor.minVersion, envelope.payload.version) + 1,
    vault,
    targetKeks,
    signer: owner,
    authority: ownersAuthority(client, envelope.payload.datasetId),
    nowMs: context.clock(),
    onProgress: (files) => {
      progress.update(files);
    },
  });
  // A broker restored from a backup may not know the manifest that lies there.
  if (published === null) await client.raiseFloor(object);
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
