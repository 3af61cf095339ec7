import { defineCommand } from "../../command.ts";
import { kekArgument, type KekFlags, kekFlags } from "../../kek-arguments.ts";
import { changedKek } from "../../kek-view.ts";
import { findKek, findVersion, openProjectVault } from "../../vault.ts";

/** `ppml key disable NAME`: stops the use of a KEK, or of one version. */
export const command = defineCommand<KekFlags, [string]>({
  parameters: { flags: kekFlags, positional: kekArgument },
  description:
    "Nothing is opened with it until `ppml key enable`; keys that were released before are not called back.",
  async run(context, flags, name) {
    using open = await openProjectVault(context, flags);
    const { style } = context;
    const before = await findKek(open.vault, name);
    if (flags.kekVersion === undefined) {
      const kek = await open.vault.disableKek(before.kekId);
      return changedKek(context, kek, `KEK ${style.bold(name)} is disabled.`);
    }
    const version = findVersion(before, flags.kekVersion);
    const kek = await open.vault.disableKek(before.kekId, version.kekVersion);
    return changedKek(
      context,
      kek,
      `Version ${version.number} of KEK ${style.bold(name)} is disabled.`,
    );
  },
});
