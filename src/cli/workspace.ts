import { PpmlError, toHex, utf8, sha256 } from "../base/index.ts";
import type { KekPublicKey } from "../format/kek.ts";
import type { SigningKey } from "../format/jwk.ts";
import { loadSigningKey } from "../key/index.ts";
import type { Vault } from "../key/index.ts";
import type { Store } from "../store/index.ts";
import type { Project } from "./config/load.ts";
import type { DatasetConfig } from "./config/schema.ts";
import type { CliContext } from "./context.ts";
import { projectStores, warner } from "./data-lake.ts";
import type { ProjectStores } from "./data-lake.ts";
import { requireOwnPolicy, requireUse } from "./kek-use.ts";
import { findKek, openProjectVault } from "./vault.ts";
import type { VaultFlags } from "./vault.ts";

/** An open project: its vault and its owner's key, for the commands that act as the owner. */
export type Workspace = Disposable & {
  readonly project: Project;
  readonly vault: Vault;
  readonly owner: SigningKey;
  readonly passphraseFile: string | undefined;
  /** A dataset of ppml.yaml. @throws config.invalid */
  dataset(name: string): DatasetConfig;
  /** The id of the owner's dataset of that name: 32 hex digits. */
  datasetId(name: string): string;
  store(name: string): Promise<Store>;
  /** Of all its stores: who asks those that are data lakes. */
  readonly stores: ProjectStores;
  /** The current public half of a KEK, by its name. @throws key.not_permitted for one that is not the project's */
  kek(name: string): Promise<KekPublicKey>;
};

/** Opens the project, its vault and the owner's key. */
export async function openWorkspace(context: CliContext, flags: VaultFlags): Promise<Workspace> {
  const open = await openProjectVault(context, flags);
  const { project, vault, root } = open;
  try {
    const path = project.resolve(project.config.owner.key);
    const owner = await loadSigningKey({ path, root, purpose: "owner" });
    const stores = projectStores(project, warner(context));
    const dataset = (name: string): DatasetConfig => findDataset(project, name);
    return {
      project,
      vault,
      owner,
      passphraseFile: flags.passphraseFile,
      dataset,
      datasetId: (name) => datasetIdOf(owner, name),
      store: (name) => stores.open(project.resolve(dataset(name).store)),
      stores,
      kek: async (name) => {
        const found = await findKek(vault, name);
        requireUse(project, found);
        await requireOwnPolicy(project, found);
        return vault.publicKey(found.kekId);
      },
      [Symbol.dispose]: () => {
        open[Symbol.dispose]();
      },
    };
  } catch (error) {
    open[Symbol.dispose]();
    throw error;
  }
}

/**
 * A dataset's id: the first 16 bytes of a SHA-256 over the owner's key id and the dataset's name, so
 * that a job can name its output before it exists.
 * @see docs/format.md section "Manifest"
 */
export function datasetIdOf(owner: Pick<SigningKey, "keyId">, name: string): string {
  return toHex(sha256(utf8(`ppml dataset id v1\n${owner.keyId}\n${name}`))).slice(0, 32);
}

/** A dataset of ppml.yaml. @throws config.invalid */
export function findDataset(project: Project, name: string): DatasetConfig {
  const { datasets } = project.config;
  const found = Object.hasOwn(datasets, name) ? datasets[name] : undefined;
  if (found !== undefined) return found;
  throw new PpmlError(
    "config.invalid",
    `ppml.yaml has no dataset ${name}; it has ${Object.keys(datasets).join(", ") || "none"}`,
  );
}
