import { resolve } from "node:path";
import { isPpmlError, PpmlError } from "../../../base/index.ts";
import { readPrivateFile } from "../../../key/private-file.ts";
import {
  type BackupChanges,
  type EmbeddedVault,
  MAX_BACKUP_BYTES,
  restoreVaultFile,
  writePrivateFile,
} from "../../../key/index.ts";
import { defineCommand } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import { fileArgument } from "../../file-argument.ts";
import { askLine } from "../../terminal.ts";
import {
  embeddedPathOf,
  openEmbeddedOf,
  type VaultFlags,
  vaultFlags,
  withVaultRoot,
} from "../../vault.ts";

type Flags = VaultFlags & { readonly yes?: boolean };

/** `ppml key restore FILE`: puts a vault back to a backup of it; asks where that undoes something. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      yes: { kind: "boolean", brief: "Do not ask", optional: true, withNegated: false },
      ...vaultFlags,
    },
    positional: fileArgument("File of `ppml key backup`"),
  },
  description:
    "Where the vault is gone it is made anew. Where it is there, what was destroyed or disabled since\n" +
    "works again, and versions made since are lost: it says which, and asks. The present state is\n" +
    "backed up beside the vault first.",
  async run(context, flags, file) {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const path = resolve(context.cwd, file);
    const bytes = await readPrivateFile({ path, maxBytes: MAX_BACKUP_BYTES });
    const vaultPath = embeddedPathOf(project);
    return await withVaultRoot(project, flags, async (root) => {
      const made = await makeAnew({ path: vaultPath, root, bytes, mode: project.config.mode });
      using vault = await openEmbeddedOf(project, root);
      const yes = flags.yes === true;
      const undone = made ? null : await putBack({ vault, vaultPath, bytes, yes });
      const keks = (await vault.listKeks()).length;
      const { vaultId, mode } = vault;
      const named = `vault ${vaultId} (${mode}, ${keks} KEKs)`;
      return {
        data: { vaultId, mode, made, keks, undone },
        human: () =>
          undone === null
            ? `Made ${named} anew from its backup.\n`
            : `The ${named} is as it was at the backup.\nWhat it was before is in ${undone.kept}\n`,
      };
    });
  },
});

async function makeAnew(options: Parameters<typeof restoreVaultFile>[0]): Promise<boolean> {
  try {
    await restoreVaultFile(options);
    return true;
  } catch (error) {
    if (isPpmlError(error, "key.vault_exists")) return false;
    throw error;
  }
}

type Undone = BackupChanges & { readonly kept: string };

async function putBack(options: {
  readonly vault: EmbeddedVault;
  readonly vaultPath: string;
  readonly bytes: Uint8Array;
  readonly yes: boolean;
}): Promise<Undone> {
  const { vault, vaultPath, bytes, yes } = options;
  const changes = vault.compareBackup(bytes);
  if (!yes) ask(changes, vault.vaultId);
  const kept = `${vaultPath}.r${changes.revision}.backup`;
  const present = vault.backup();
  try {
    await writePrivateFile({ path: kept, bytes: present });
  } catch (error) {
    // A run that was cut off after this step left the same state under this name.
    if (!isPpmlError(error, "key.vault_io") || !/exists/.test(error.message)) throw error;
  }
  vault.restore(bytes);
  return { ...changes, kept };
}

function ask(changes: BackupChanges, vaultId: string): void {
  const answer = askLine(
    `The vault is there, at revision ${changes.revision}; the backup is of revision ${changes.backupRevision}.\n` +
      `Destroyed since, and back again: ${listOf(changes.revived)}.\n` +
      `Disabled since, and working again: ${listOf(changes.enabled)}.\n` +
      `Made since, and lost; what is sealed for them alone cannot be opened: ${listOf(changes.lost)}.\n` +
      `Type the vault's id, ${vaultId}, to go on:`,
  );
  if (answer !== vaultId)
    throw new PpmlError("cli.cancelled", `expected "${vaultId}": nothing was restored`);
}

function listOf(names: readonly string[]): string {
  return names.join(", ") || "none";
}
