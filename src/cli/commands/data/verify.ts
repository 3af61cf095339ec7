import { isPpmlError, PpmlError, toHex } from "../../../base/index.ts";
import { readSealedFooter } from "../../../format/parquet/index.ts";
import { checkManifest, manifestSchema } from "../../../format/manifest.ts";
import type { ManifestFile } from "../../../format/manifest.ts";
import { FIXED_PART_BYTES, fixedPartDigest } from "../../../format/sealed-file/index.ts";
import { envelopeDigest, verifyObject } from "../../../format/signed-object.ts";
import { checkListing } from "../../../open/accept-manifest.ts";
import type { Store } from "../../../store/index.ts";
import { defineCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { renderTable } from "../../output/table.ts";
import { loadStoredManifest } from "../../stored-manifest.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";
import type { Workspace } from "../../workspace.ts";

type Checked = {
  readonly dataset: string;
  readonly version: number;
  /** `other`: not the owner's key. A result's receipt says which TEE has it. */
  readonly signer: "owner" | "other";
  readonly keyId: string;
  readonly files: number;
  readonly problems: readonly string[];
};

/** `ppml data verify [NAME...]`: the signature, and each stored file against the manifest. */
export const command = defineCommand<VaultFlags, string[]>({
  parameters: {
    flags: vaultFlags,
    positional: {
      kind: "array",
      parameter: {
        placeholder: "DATASET",
        brief: "Datasets of ppml.yaml (otherwise: all that are sealed)",
        parse: String,
      },
    },
  },
  description:
    "It checks the owner's signature, names, lengths and the digests of headers and footers; data\n" +
    "pages are checked as they are opened. A result's manifest is signed by a TEE, whose key is\n" +
    "not checked here: ppml receipt verify does that.",
  async run(context, flags, ...names) {
    using workspace = await openWorkspace(context, flags);
    const wanted = names.length > 0 ? names : Object.keys(workspace.project.config.datasets);
    const checked: Checked[] = [];
    for (const name of wanted) {
      const one = await verifyOne(workspace, name);
      if (one !== null) checked.push(one);
      else if (names.length > 0)
        throw new PpmlError("open.manifest", `${name} is not sealed yet: ppml data seal ${name}`);
    }
    const isGood = checked.every(({ problems }) => problems.length === 0);
    return {
      data: { datasets: checked },
      human: () => summary(context, checked),
      exitCode: isGood ? 0 : 1,
    };
  },
});

async function verifyOne(workspace: Workspace, name: string): Promise<Checked | null> {
  const store = await workspace.store(name);
  const stored = await loadStoredManifest(store, name);
  if (stored === null) return null;
  const { keyId, payload: manifest } = stored.unverified;
  const isOwner = keyId === workspace.owner.keyId;
  const problems: string[] = [];
  const note = async (check: () => unknown): Promise<void> => {
    try {
      await check();
    } catch (error) {
      if (!isPpmlError(error)) throw error;
      problems.push(error.message);
    }
  };
  const signers = [workspace.owner.publicJwk];
  const { envelope } = stored;
  if (isOwner)
    await note(() => verifyObject({ kind: "manifest", schema: manifestSchema, envelope, signers }));
  // Only results come from TEEs: who seals what the owner has the source of must be the owner.
  if (!isOwner && workspace.dataset(name).source !== undefined)
    problems.push(`the manifest is signed by ${keyId}, which is not the owner's key`);
  if (manifest.datasetId !== workspace.datasetId(name))
    problems.push("the stored manifest is another dataset's");
  const present: string[] = [];
  for await (const object of store.list("")) present.push(object.name);
  await note(() => {
    checkManifest(manifest);
  });
  await note(() => {
    checkListing({ payload: manifest, digest: envelopeDigest(envelope) }, present);
  });
  for (const file of manifest.files)
    if (present.includes(file.name)) await note(() => checkFile(store, file));
  const signer = isOwner ? "owner" : "other";
  const { version, files } = manifest;
  return { dataset: name, version, signer, keyId, files: files.length, problems };
}

async function checkFile(store: Store, file: ManifestFile): Promise<void> {
  await using source = await store.source(file.name);
  if (source.size !== file.length)
    throw new PpmlError(
      "open.manifest",
      `${file.name} has ${source.size} bytes, the manifest lists ${file.length}`,
    );
  const digest =
    file.kind === "file"
      ? fixedPartDigest(await source.read(0, Math.min(source.size, FIXED_PART_BYTES)))
      : (await readSealedFooter(source)).digest;
  if (toHex(digest) !== file.digest)
    throw new PpmlError(
      "open.manifest",
      `${file.name} has another ${file.kind === "file" ? "fixed part" : "footer"} than the manifest lists`,
    );
}

function summary(context: CliContext, checked: readonly Checked[]): string {
  if (checked.length === 0) return "No dataset is sealed: ppml data seal\n";
  const table = renderTable({
    columns: [
      { title: "DATASET" },
      { title: "VERSION", align: "right" },
      { title: "SIGNED BY" },
      { title: "FILES", align: "right" },
      { title: "RESULT" },
    ],
    rows: checked.map((one) => [
      one.dataset,
      `v${one.version}`,
      one.signer === "owner" ? "the owner" : "another key (not checked)",
      String(one.files),
      one.problems.length === 0 ? "as listed" : `refused: ${one.problems.join("; ")}`,
    ]),
    style: context.style,
  });
  return table;
}
