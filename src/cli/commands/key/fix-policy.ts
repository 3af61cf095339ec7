import { PpmlError } from "../../../base/index.ts";
import { defineCommand } from "../../command.ts";
import { kekArgument } from "../../kek-arguments.ts";
import { changedKek } from "../../kek-view.ts";
import { askLine } from "../../terminal.ts";
import { findKek, openProjectVault, type VaultFlags, vaultFlags } from "../../vault.ts";

type Flags = VaultFlags & { readonly yes?: boolean };

/** `ppml key fix-policy NAME`: nobody changes the KEK's release policy after this. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      yes: { kind: "boolean", brief: "Do not ask", optional: true, withNegated: false },
      ...vaultFlags,
    },
    positional: kekArgument,
  },
  description:
    "An exportable KEK that an ARM template made has a policy that can still be changed, and nothing\n" +
    "is sealed for it before this. It shows the policy and asks: a wrong one stays wrong for ever.",
  async run(context, flags, name) {
    using open = await openProjectVault(context, flags);
    const kek = await findKek(open.vault, name);
    if (flags.yes !== true) agree(kek.name, JSON.stringify(kek.releasePolicy, null, 2));
    const fixed = await open.vault.fixReleasePolicy(kek.kekId);
    const { style } = context;
    return changedKek(
      context,
      fixed,
      `The release policy of KEK ${style.bold(fixed.name)} is fixed for ever.`,
    );
  },
});

function agree(name: string, policy: string): void {
  const question = `This fixes for ever who gets the KEK ${name}:\n${policy}\nType the KEK's name to go on:`;
  if (askLine(question) === name) return;
  throw new PpmlError("cli.cancelled", `expected "${name}": nothing was fixed`);
}
