import { diffEvidence, wordOf } from "../../../attest/index.ts";
import type { ClaimDifference, Evidence } from "../../../attest/index.ts";
import { isPpmlError, PpmlError } from "../../../base/index.ts";
import { defineCommand, projectFlags } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { atRecordedTime, evidenceFlags, readEvidence, verifyInput } from "../../evidence-input.ts";
import type { EvidenceFlags } from "../../evidence-input.ts";
import { printable } from "../../output/printable.ts";

/** One below the other, for the values are long. */
function linesOf({ claim, a, b }: ClaimDifference, kind: string): string {
  return `${wordOf(claim, kind)}\n  - ${show(a)}\n  + ${show(b)}\n`;
}

function show(value: ClaimDifference["a"]): string {
  return value === null ? "(does not have it)" : printable(String(value));
}

/** Evidence of a file; a refusal says which of the two files it is about. */
async function readVerified(
  context: CliContext,
  file: string,
  flags: EvidenceFlags,
): Promise<Evidence> {
  try {
    const input = atRecordedTime(await readEvidence(context, file, flags), flags);
    return (await verifyInput(context, input, flags)).evidence;
  } catch (error) {
    if (!isPpmlError(error)) throw error;
    const { code, message, detail } = error;
    throw new PpmlError(code, `${file}: ${message}`, { cause: error, detail });
  }
}

type DiffFlags = EvidenceFlags & { readonly collateralB?: string; readonly atB?: number };

/** `ppml attest diff A B`: in which claims two pieces of Evidence differ. */
export const command = defineCommand<DiffFlags, [string, string]>({
  parameters: {
    flags: {
      ...projectFlags,
      ...evidenceFlags,
      collateralB: {
        ...evidenceFlags.collateral,
        brief: "Collateral of B, where it is of another platform or time than A",
      },
      atB: { ...evidenceFlags.at, brief: "Verify B for this time (otherwise: that of A)" },
    },
    positional: {
      kind: "tuple",
      parameters: [
        { placeholder: "A", brief: "Evidence, as for attest verify", parse: String },
        { placeholder: "B", brief: "Evidence to compare it with", parse: String },
      ],
    },
  },
  description:
    "Both are verified first: with the same collateral and for the same time, unless B has its own;\n" +
    "receipts at the time of their jobs. Exit code 1 where they differ, as diff's.",
  async run(context, flags, ...files) {
    const [first, second] = files;
    const a = await readVerified(context, first, flags);
    const { collateralB, atB } = flags;
    const b = await readVerified(context, second, {
      ...flags,
      ...(collateralB === undefined ? {} : { collateral: collateralB }),
      ...(atB === undefined ? {} : { at: atB }),
    });
    const differences = diffEvidence(a, b);
    return {
      data: { same: differences.length === 0, differences },
      human: () =>
        differences.length === 0
          ? "no claim differs\n"
          : `--- ${printable(first)}\n+++ ${printable(second)}\n${differences.map((one) => linesOf(one, a.type)).join("")}`,
      exitCode: differences.length === 0 ? 0 : 1,
    };
  },
});
