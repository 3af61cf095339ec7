import { defineCommand } from "../../command.ts";
import { kekArgument } from "../../kek-arguments.ts";
import { changedKek } from "../../kek-view.ts";
import { openProjectVault, type VaultFlags, vaultFlags } from "../../vault.ts";

type Flags = VaultFlags & { readonly purpose?: string; readonly bits: "3072" | "4096" };

/** `ppml key create NAME`: makes a KEK. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      purpose: {
        kind: "parsed",
        parse: String,
        brief: "What the KEK is for, in your words",
        placeholder: "TEXT",
        optional: true,
      },
      bits: {
        kind: "enum",
        values: ["3072", "4096"],
        brief: "Length of the RSA modulus",
        default: "3072",
      },
      ...vaultFlags,
    },
    positional: kekArgument,
  },
  description: "The KEK is unwrap-only: it never leaves the vault, which unwraps after a release.",
  async run(context, flags, name) {
    using open = await openProjectVault(context, flags);
    const kek = await open.vault.createKek({
      name,
      kind: "unwrap-only",
      bits: flags.bits === "4096" ? 4096 : 3072,
      ...(flags.purpose === undefined ? {} : { purpose: flags.purpose }),
    });
    return changedKek(context, kek, `Made KEK ${context.style.bold(kek.name)}.`);
  },
});
