import { relative, resolve } from "node:path";
import { writePrivateFile } from "../../../key/index.ts";
import { defineCommand } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import { fileArgument } from "../../file-argument.ts";
import { openEmbeddedOf, type VaultFlags, vaultFlags, withVaultRoot } from "../../vault.ts";

/** `ppml key backup FILE`: an encrypted copy of the vault, in a new file of mode 0600. */
export const command = defineCommand<VaultFlags, [string]>({
  parameters: { flags: vaultFlags, positional: fileArgument("New file to write") },
  description:
    "It opens with the vault's root-key file or passphrase only, which is not in it: keep a copy of\n" +
    "that too, elsewhere. A KEK that is destroyed later is still in the backup.",
  async run(context, flags, file) {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const path = resolve(context.cwd, file);
    using vault = await withVaultRoot(project, flags, (root) => openEmbeddedOf(project, root));
    const { vaultId, mode } = vault;
    const keks = await vault.listKeks();
    const bytes = vault.backup();
    await writePrivateFile({ path, bytes });
    return {
      data: { vaultId, mode, keks: keks.length, bytes: bytes.byteLength, file: path },
      human: () =>
        `Backed up vault ${vaultId} (${mode}, ${keks.length} KEKs) to ${relative(context.cwd, path)}.\n` +
        "It is worth nothing without the root-key file or passphrase: keep that apart, and keep it.\n",
    };
  },
});
