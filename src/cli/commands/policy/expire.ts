import { resolve } from "node:path";
import { fromTimestamp, PpmlError, toTimestamp } from "../../../base/index.ts";
import { defineCommand } from "../../command.ts";
import { referenceArguments, updateReferences } from "../../reference-file.ts";
import { describeReferences } from "../../show-references.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";

type Flags = VaultFlags & { readonly at: string };

/** `ppml policy expire FILE LABEL --at TIME`: a reference set accepts nothing after that time. */
export const command = defineCommand<Flags, [string, string]>({
  parameters: {
    flags: {
      ...vaultFlags,
      at: {
        kind: "parsed",
        parse: timeOf,
        brief: "A date or time, such as 2027-01-31 or 2027-01-31T12:00:00Z",
        placeholder: "TIME",
      },
    },
    positional: referenceArguments,
  },
  description: "Policies take the change when they are applied again.",
  async run(context, flags, ...args) {
    const [file, label] = args;
    using workspace = await openWorkspace(context, flags);
    const next = await updateReferences(workspace, resolve(context.cwd, file), {
      kind: "expire",
      label,
      expiresAt: flags.at,
    });
    return { data: next, human: () => describeReferences(next, context.style) };
  },
});

/** A time as signed objects have it: UTC, whole seconds. */
function timeOf(text: string): string {
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text);
  const timeMs = fromTimestamp(isDay ? `${text}T00:00:00Z` : text);
  if (Number.isNaN(timeMs))
    throw new PpmlError("cli.usage", "expected a time such as 2027-01-31T12:00:00Z");
  return toTimestamp(timeMs);
}
