import { defineCommand } from "../../command.ts";
import { kekData, keksText, simulatedFoot } from "../../kek-view.ts";
import { openProjectVault, type VaultFlags, vaultFlags } from "../../vault.ts";

/** `ppml key list`: the KEKs of the vault. */
export const command = defineCommand<VaultFlags>({
  parameters: { flags: vaultFlags },
  async run(context, flags) {
    using open = await openProjectVault(context, flags);
    const { mode, vaultId } = open.vault;
    const keks = await open.vault.listKeks();
    return {
      data: { vaultId, mode, simulated: mode === "simulation", keks: keks.map(kekData) },
      human: () =>
        (keks.length === 0
          ? "The vault has no KEKs: ppml key create NAME\n"
          : keksText(keks, context.style)) + simulatedFoot(mode, context.style),
    };
  },
});
