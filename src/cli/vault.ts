import { lstatSync } from "node:fs";
import { join } from "node:path";
import { PpmlError } from "../base/index.ts";
import {
  type EmbeddedVault,
  type KekInfo,
  loadRootKeyFile,
  openEmbeddedVault,
  type RootKey,
  type Vault,
  type VaultRoot,
} from "../key/index.ts";
import type { OnWait } from "../azure/index.ts";
// Not in the stage's index: the measured image follows that one, and has no use of Azure's SDKs.
import { openAzureVault } from "../key/azure/open.ts";
import { type ProjectFlags, projectFlags } from "./command.ts";
import { loadProject, type Project } from "./config/load.ts";
import { suggestion } from "./config/suggest.ts";
import type { CliContext } from "./context.ts";
import { obtainPassphrase } from "./terminal.ts";

/** The flags of a command that opens the vault. */
export type VaultFlags = ProjectFlags & { readonly passphraseFile?: string };

/** Parameters of `VaultFlags`. */
export const vaultFlags = {
  passphraseFile: {
    kind: "parsed",
    parse: String,
    brief: "Read the vault's passphrase from a file, or fd:N (otherwise: asked)",
    placeholder: "FILE",
    optional: true,
  },
  ...projectFlags,
} as const;

/** A project's vault, and the root key of what lies beside it: the owner's key, the broker's state. */
export type OpenVault = Disposable & { readonly vault: Vault; readonly root: RootKey };

/**
 * Loads the project and opens its vault; dispose it.
 * @throws config.missing config.invalid key.vault_missing key.vault_locked key.vault_mode
 */
export async function openProjectVault(
  context: CliContext,
  flags: VaultFlags,
): Promise<OpenVault & { readonly project: Project }> {
  const project = await loadProject({ cwd: context.cwd, folder: flags.project });
  const { passphraseFile } = flags;
  const open = await openVaultOf(project, { passphraseFile, onWait: waitingFor(context) });
  return { ...open, project };
}

/** Opens the vault of a loaded project; its mode must be the project's. */
export async function openVaultOf(
  project: Project,
  options: {
    readonly passphraseFile?: string | undefined;
    readonly onWait?: OnWait | undefined;
  } = {},
): Promise<OpenVault> {
  const vaultUrl = project.config.vault.url;
  return await withVaultRoot(project, options, async (from) => {
    if (vaultUrl === undefined) {
      const vault = await openEmbeddedOf(project, from);
      return { vault, root: vault.root, [Symbol.dispose]: () => vault[Symbol.dispose]() };
    }
    if (from.kind === "passphrase")
      throw new PpmlError("config.invalid", "a vault in Azure goes with a root-key file");
    const root = await loadRootKeyFile({ path: from.path });
    try {
      const vault = await openAzureVault({
        url: vaultUrl,
        onWait: options.onWait,
        ...azurePlaceOf(project),
      });
      return {
        vault,
        root,
        [Symbol.dispose]: () => {
          vault[Symbol.dispose]();
          root[Symbol.dispose]();
        },
      };
    } catch (error) {
      root[Symbol.dispose]();
      throw error;
    }
  });
}

/** Shows on stderr which host of Azure a command waits for. */
export function waitingFor(context: Pick<CliContext, "progress">): OnWait {
  return (host) => context.progress({ label: `Waiting for ${host}; Ctrl-C ends it` });
}

/** How a project's vault in Azure is reached, and for which mode. */
export function azurePlaceOf({ config }: Project) {
  const { mode, azure } = config;
  const transport = azure?.transport ?? "direct";
  return { mode, transport, tenantId: azure?.tenant ?? null } as const;
}

/** The file of a project's embedded vault. @throws key.not_permitted where its vault is in Azure */
export function embeddedPathOf(project: Project): string {
  const { path, url } = project.config.vault;
  if (path !== undefined) return project.resolve(path);
  throw new PpmlError(
    "key.not_permitted",
    `the project's vault is ${url ?? "in Azure"}: Azure keeps copies of it. Keys are backed up one by one (az keyvault key backup), and deleted ones recovered (az keyvault key recover)`,
  );
}

/** Opens the embedded vault of a project with its root; its mode must be the project's. */
export async function openEmbeddedOf(project: Project, root: VaultRoot): Promise<EmbeddedVault> {
  const { mode } = project.config;
  const path = embeddedPathOf(project);
  const vault = await openEmbeddedVault({ path, root });
  if (vault.mode === mode) return vault;
  vault[Symbol.dispose]();
  throw new PpmlError(
    "key.vault_mode",
    `ppml.yaml says mode ${mode}, but the vault ${project.config.vault.path ?? path} was made for ${vault.mode}, for ever: name another vault, or the vault's mode`,
  );
}

/** Gives `use` how the vault's root key is had; a passphrase that was asked for is zeroed after. */
export async function withVaultRoot<T>(
  project: Project,
  options: { readonly passphraseFile?: string | undefined },
  use: (root: VaultRoot) => Promise<T>,
): Promise<T> {
  const { vault: config } = project.config;
  requirePrivateState(join(project.root, ".ppml"));
  if (config.rootKeyFile !== undefined)
    return use({ kind: "file", path: project.resolve(config.rootKeyFile) });
  using passphrase = await obtainPassphrase({
    file: options.passphraseFile,
    prompt: `Passphrase of ${config.path ?? "the vault"}`,
  });
  return await use({ kind: "passphrase", passphrase });
}

/**
 * Refuses a folder of keys and state that others may enter, or that is a link.
 * @throws key.vault_io with the command that mends it
 */
function requirePrivateState(folder: string): void {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  // Where there is none, ppml.yaml keeps its state elsewhere, or the vault's own error says the rest.
  if (stat === undefined || process.platform === "win32") return;
  const problem = (what: string): PpmlError =>
    new PpmlError("key.vault_io", `${folder}: ${what}`, { detail: { path: folder } });
  if (!stat.isDirectory()) throw problem("expected a folder, not a link or a file: put it there");
  if ((stat.mode & 0o077) !== 0)
    throw problem(`others may enter it: run chmod 700 '${folder}', and look who has read its keys`);
}

/**
 * Finds a KEK by the name that ppml.yaml and people use.
 * @throws key.not_found with the nearest name
 */
export async function findKek(vault: Vault, name: string): Promise<KekInfo> {
  const keks = await vault.listKeks();
  const kek = keks.find((one) => one.name === name || one.kekId === name);
  if (kek !== undefined) return kek;
  const names = keks.map((one) => one.name);
  throw new PpmlError("key.not_found", `the vault has no KEK "${name}"${suggestion(name, names)}`, {
    detail: { name, remedy: "ppml key list" },
  });
}

/**
 * The version of a KEK that a person names by its number or the first digits of its id.
 * @throws key.not_found
 */
export function findVersion(kek: KekInfo, text: string): KekInfo["versions"][number] {
  const matches = kek.versions.filter(
    (version) =>
      String(version.number) === text ||
      (/^[0-9a-f]{6,32}$/.test(text) && version.kekVersion.startsWith(text)),
  );
  const [only] = matches;
  if (only !== undefined && matches.length === 1) return only;
  throw new PpmlError(
    "key.not_found",
    `KEK ${kek.name} has no version "${text.slice(0, 40)}": expected a number from 1 to ${kek.versions.length}, or at least 6 digits of a version's id`,
    { detail: { kekId: kek.kekId, remedy: `ppml key show ${kek.name}` } },
  );
}
