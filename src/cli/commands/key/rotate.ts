import { defineCommand } from "../../command.ts";
import { kekArgument } from "../../kek-arguments.ts";
import { changedKek } from "../../kek-view.ts";
import { findKek, openProjectVault, type VaultFlags, vaultFlags } from "../../vault.ts";

/** `ppml key rotate NAME`: a new current version. */
export const command = defineCommand<VaultFlags, [string]>({
  parameters: { flags: vaultFlags, positional: kekArgument },
  description:
    "What was sealed before stays under the older version, which still opens it, until it is\n" +
    "wrapped anew: ppml data rewrap.",
  async run(context, flags, name) {
    using open = await openProjectVault(context, flags);
    const before = await findKek(open.vault, name);
    const kek = await open.vault.rotateKek(before.kekId);
    const number = kek.versions.at(-1)?.number ?? 0;
    return changedKek(
      context,
      kek,
      `KEK ${context.style.bold(kek.name)} has version ${number} now. What was sealed before stays under the older one: ppml data rewrap`,
    );
  },
});
