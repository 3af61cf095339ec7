import { defineCommand } from "../../command.ts";
import { kekArgument, type KekFlags, kekFlags } from "../../kek-arguments.ts";
import { changedKek } from "../../kek-view.ts";
import { findKek, findVersion, openProjectVault } from "../../vault.ts";

/** `ppml key enable NAME`: allows the use again of a KEK, or of one version. */
export const command = defineCommand<KekFlags, [string]>({
  parameters: { flags: kekFlags, positional: kekArgument },
  description: "Undoes `ppml key disable`. A destroyed KEK never comes back.",
  async run(context, flags, name) {
    using open = await openProjectVault(context, flags);
    const { style } = context;
    const before = await findKek(open.vault, name);
    if (flags.kekVersion === undefined) {
      const kek = await open.vault.enableKek(before.kekId);
      return changedKek(context, kek, `KEK ${style.bold(name)} is enabled.`);
    }
    const version = findVersion(before, flags.kekVersion);
    const kek = await open.vault.enableKek(before.kekId, version.kekVersion);
    return changedKek(
      context,
      kek,
      `Version ${version.number} of KEK ${style.bold(name)} is enabled.`,
    );
  },
});
