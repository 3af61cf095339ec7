import { resolve } from "node:path";
import { defineCommand } from "../../command.ts";
import { referenceArguments, updateReferences } from "../../reference-file.ts";
import { describeReferences } from "../../show-references.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";

/** `ppml policy remove FILE LABEL`: takes a reference set out. */
export const command = defineCommand<VaultFlags, [string, string]>({
  parameters: { flags: vaultFlags, positional: referenceArguments },
  description: "Policies take the change when they are applied again.",
  async run(context, flags, ...args) {
    const [file, label] = args;
    using workspace = await openWorkspace(context, flags);
    const next = await updateReferences(workspace, resolve(context.cwd, file), {
      kind: "remove",
      label,
    });
    return { data: next, human: () => describeReferences(next, context.style) };
  },
});
