import { isPpmlError } from "../../../base/index.ts";
import { jwkThumbprint } from "../../../format/jwk.ts";
import type { KekInfo, Vault } from "../../../key/index.ts";
import { defineCommand } from "../../command.ts";
import { kekArgument } from "../../kek-arguments.ts";
import { kekData, kekText } from "../../kek-view.ts";
import { findKek, openProjectVault, type VaultFlags, vaultFlags } from "../../vault.ts";

/** Thumbprints of the versions whose public key the vault gives. */
async function thumbprintsOf(vault: Vault, kek: KekInfo): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const { kekVersion } of kek.versions)
    try {
      const { jwk } = await vault.publicKey(kek.kekId, kekVersion);
      found.set(kekVersion, jwkThumbprint(jwk));
    } catch (error) {
      // Of a version that is disabled or destroyed there may be none: its line says so.
      if (!isPpmlError(error)) throw error;
    }
  return found;
}

/** `ppml key show NAME`: one KEK and its versions. */
export const command = defineCommand<VaultFlags, [string]>({
  parameters: { flags: vaultFlags, positional: kekArgument },
  async run(context, flags, name) {
    using open = await openProjectVault(context, flags);
    const kek = await findKek(open.vault, name);
    const thumbprints = await thumbprintsOf(open.vault, kek);
    return {
      data: { kek: kekData(kek), thumbprints: Object.fromEntries(thumbprints) },
      human: () => kekText(kek, context.style, thumbprints),
    };
  },
});
