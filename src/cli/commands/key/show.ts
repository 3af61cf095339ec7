import { defineCommand } from "../../command.ts";
import { kekArgument } from "../../kek-arguments.ts";
import { kekData, kekText } from "../../kek-view.ts";
import { findKek, openProjectVault, type VaultFlags, vaultFlags } from "../../vault.ts";

/** `ppml key show NAME`: one KEK and its versions. */
export const command = defineCommand<VaultFlags, [string]>({
  parameters: { flags: vaultFlags, positional: kekArgument },
  async run(context, flags, name) {
    using open = await openProjectVault(context, flags);
    const kek = await findKek(open.vault, name);
    return { data: { kek: kekData(kek) }, human: () => kekText(kek, context.style) };
  },
});
