import { isPpmlError, PpmlError, toHex } from "../../../base/index.ts";
import type { ManifestFloor } from "../../../format/grant.ts";
import { jwkThumbprint } from "../../../format/jwk.ts";
import { readSealedFooter } from "../../../format/parquet/index.ts";
import { checkManifest, manifestSchema } from "../../../format/manifest.ts";
import type { ManifestFile } from "../../../format/manifest.ts";
import type { EcPublicJwk } from "../../../format/schema.ts";
import { FIXED_PART_BYTES, fixedPartDigest } from "../../../format/sealed-file/index.ts";
import { envelopeDigest, verifyObject } from "../../../format/signed-object.ts";
import { checkListing } from "../../../open/accept-manifest.ts";
import type { Store } from "../../../store/index.ts";
import { defineCommand } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import type { Project } from "../../config/load.ts";
import type { CliContext } from "../../context.ts";
import { projectStores, warner } from "../../data-lake.ts";
import { renderTable } from "../../output/table.ts";
import { projectRoots } from "../../pinned-roots.ts";
import { compareWithFloor, loadKnownFloors } from "../../known-floors.ts";
import { loadStoredManifest } from "../../stored-manifest.ts";
import type { StoredManifest } from "../../stored-manifest.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { datasetIdOf, findDataset } from "../../workspace.ts";

type Checked = {
  readonly dataset: string;
  /** Null where the store has no manifest, but the broker accepted one. */
  readonly version: number | null;
  /** `other`: not the owner's key. A result's receipt says which TEE has it. */
  readonly signer: "owner" | "other" | null;
  readonly keyId: string | null;
  readonly files: number;
  readonly problems: readonly string[];
};

/** `ppml data verify [NAME...]`: the signature, the broker's version, and each stored file against the manifest. */
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
    "It checks the owner's signature, names, lengths and the digests of headers and footers, and that\n" +
    "the manifest is not older than the last one that the broker accepted, nor gone. Where the broker's\n" +
    "state cannot be read, it says that it did not compare. Data pages are not read: they are checked\n" +
    "as they are opened. A result's manifest is signed by a TEE: ppml receipt verify says by which.",
  async run(context, flags, ...names) {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const wanted = names.length > 0 ? names : Object.keys(project.config.datasets);
    for (const name of wanted) findDataset(project, name);
    const { owner } = await projectRoots(project);
    const known = await loadKnownFloors(project, {
      passphraseFile: flags.passphraseFile,
      owner,
      datasets: wanted,
    });
    const stores = projectStores(project, warner(context));
    const checked: Checked[] = [];
    for (const name of wanted) {
      const store = await stores.open(project.resolve(findDataset(project, name).store));
      const floor = known.floors?.get(name) ?? null;
      const one = await verifyOne({ project, owner, name, store, floor });
      if (one !== null) checked.push(one);
      else if (names.length > 0)
        throw new PpmlError("open.manifest", `${name} is not sealed yet: ppml data seal ${name}`);
    }
    if (known.why !== null)
      context.talk(
        `not compared with the broker's state, so not noticed: older versions put back, and datasets that are gone.\n${known.why}`,
      );
    const isGood = checked.every(({ problems }) => problems.length === 0);
    return {
      data: { datasets: checked, notCompared: known.why },
      human: () => summary(context, checked, known.why === null),
      exitCode: isGood ? 0 : 1,
    };
  },
});

type Wanted = {
  readonly project: Project;
  readonly owner: EcPublicJwk;
  readonly name: string;
  readonly store: Store;
  /** Null where the broker's state cannot be read. */
  readonly floor: ManifestFloor | null;
};

async function verifyOne(wanted: Wanted): Promise<Checked | null> {
  const { project, name, store, floor } = wanted;
  const stored = await loadStoredManifest(store, name, floor);
  const difference = floor === null ? null : compareWithFloor(stored, floor);
  const again =
    findDataset(project, name).source === undefined
      ? "run its job again"
      : `ppml data seal ${name}`;
  const problems =
    difference === null ? [] : [`${difference}; put the stored files back, or ${again}`];
  if (stored !== null) return verifyStored(wanted, stored, problems);
  const [gone] = problems;
  if (gone === undefined) return null;
  problems[0] = `${gone}; where that was on purpose, take ${name} out of ppml.yaml`;
  return { dataset: name, version: null, signer: null, keyId: null, files: 0, problems };
}

async function verifyStored(
  { project, owner, name, store, floor }: Wanted,
  stored: StoredManifest,
  compared: readonly string[],
): Promise<Checked> {
  const { keyId, payload: manifest } = stored.unverified;
  const isOwner = keyId === jwkThumbprint(owner);
  const problems = [...compared];
  const note = async (check: () => unknown): Promise<void> => {
    try {
      await check();
    } catch (error) {
      if (!isPpmlError(error)) throw error;
      problems.push(error.message);
    }
  };
  const { envelope } = stored;
  // Who but the owner may have signed it, the broker knows.
  const signers = isOwner ? [owner] : (floor?.signers ?? null);
  if (signers !== null)
    await note(() => verifyObject({ kind: "manifest", schema: manifestSchema, envelope, signers }));
  // Only results come from TEEs: who seals what the owner has the source of must be the owner.
  if (!isOwner && findDataset(project, name).source !== undefined)
    problems.push(`the manifest is signed by ${keyId}, which is not the owner's key`);
  if (manifest.datasetId !== datasetIdOf({ keyId: jwkThumbprint(owner) }, name))
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

function summary(context: CliContext, checked: readonly Checked[], isCompared: boolean): string {
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
      one.version === null ? "none" : `v${one.version}`,
      signedBy(one, isCompared),
      String(one.files),
      one.problems.length === 0 ? "as listed" : `refused: ${one.problems.join("; ")}`,
    ]),
    style: context.style,
  });
  return table;
}

function signedBy({ signer }: Checked, isCompared: boolean): string {
  if (signer === null) return "";
  if (signer === "owner") return "the owner";
  return isCompared ? "a TEE that the broker knows" : "another key (not checked)";
}
