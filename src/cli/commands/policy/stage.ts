import { resolve } from "node:path";
import { claimNames, isReferenceValue, VALUE_FORM, valuesOf } from "../../../attest/index.ts";
import { PpmlError } from "../../../base/index.ts";
import { defineCommand } from "../../command.ts";
import { suggestion } from "../../config/suggest.ts";
import type { CliContext } from "../../context.ts";
import { evidenceFlags, readEvidence, verifyInput } from "../../evidence-input.ts";
import type { EvidenceFlags } from "../../evidence-input.ts";
import { updateReferences } from "../../reference-file.ts";
import { describeReferences } from "../../show-references.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";

type Flags = VaultFlags & EvidenceFlags & { readonly from?: string };
type Values = Record<string, string | number>;

/** `ppml policy stage FILE LABEL CLAIM...`: adds a reference set that is looked at, not accepted yet. */
export const command = defineCommand<Flags, [string, string, ...string[]]>({
  parameters: {
    flags: {
      ...vaultFlags,
      ...evidenceFlags,
      from: {
        kind: "parsed",
        parse: String,
        brief: "Take the values of claims named without one from this Evidence",
        placeholder: "EVIDENCE",
        optional: true,
      },
    },
    positional: {
      kind: "array",
      minimum: 3,
      parameter: {
        placeholder: "FILE LABEL CLAIM[=VALUE]",
        brief: "The file of reference values, the set's label, and its claims",
        parse: String,
      },
    },
  },
  description:
    "A reference set is one workload: all its values count together. The file is made where it is\n" +
    "missing, and signed with the owner's key. A staged set accepts nothing: see what it would do\n" +
    "with `ppml policy dry-run`, then `ppml policy promote`.",
  async run(context, flags, ...args) {
    const [file, label, ...claims] = args;
    const values = await valuesFor(context, flags, claims);
    using workspace = await openWorkspace(context, flags);
    const next = await updateReferences(workspace, resolve(context.cwd, file), {
      kind: "stage",
      set: { label, state: "staged", expiresAt: null, values },
    });
    return { data: next, human: () => describeReferences(next, context.style) };
  },
});

async function valuesFor(
  context: CliContext,
  flags: Flags,
  claims: readonly string[],
): Promise<Values> {
  const fromEvidence =
    flags.from === undefined
      ? {}
      : valuesOf(
          (await verifyInput(context, await readEvidence(context, flags.from, flags), flags))
            .evidence,
        );
  const values: Values = {};
  for (const argument of claims) {
    const [, claim = argument, given] = /^([^=]+)=(.*)$/s.exec(argument) ?? [];
    requireKnown(claim);
    const value = given ?? (Object.hasOwn(fromEvidence, claim) ? fromEvidence[claim] : undefined);
    if (typeof value !== "string" && typeof value !== "number")
      throw new PpmlError(
        "cli.usage",
        `${claim} has no value: write ${claim}=VALUE, or name Evidence that has it (--from)`,
      );
    const found = given === undefined || !/^\d{1,10}$/.test(given) ? value : Number(given);
    if (!isReferenceValue(claim, found))
      throw new PpmlError(
        "cli.usage",
        `${JSON.stringify(found)} is no value that a reference set can have for ${claim}: ${VALUE_FORM}`,
      );
    values[claim] = found;
  }
  return values;
}

/** A set whose claim no Evidence has would never be met, and no policy could name it. */
function requireKnown(claim: string): void {
  const known = claimNames();
  if (known.includes(claim)) return;
  throw new PpmlError(
    "cli.usage",
    `no Evidence has a claim ${JSON.stringify(claim)}${suggestion(claim, known)}`,
  );
}
