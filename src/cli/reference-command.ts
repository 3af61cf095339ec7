import { resolve } from "node:path";
import { defineCommand } from "./command.ts";
import { referenceArguments, updateReferences } from "./reference-file.ts";
import { describeReferences } from "./show-references.ts";
import { vaultFlags } from "./vault.ts";
import type { VaultFlags } from "./vault.ts";
import { openWorkspace } from "./workspace.ts";

/** A command that makes one change, which needs no more than its label, to a set of a file. */
export const referenceCommand = (kind: "promote" | "remove") =>
  defineCommand<VaultFlags, [string, string]>({
    parameters: { flags: vaultFlags, positional: referenceArguments },
    description: "Policies take the change when they are applied again.",
    async run(context, flags, ...args) {
      const [file, label] = args;
      using workspace = await openWorkspace(context, flags);
      const next = await updateReferences(workspace, resolve(context.cwd, file), { kind, label });
      return { data: next, human: () => describeReferences(next, context.style) };
    },
  });
