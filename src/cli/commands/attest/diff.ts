import { diffEvidence } from "../../../attest/index.ts";
import type { Evidence } from "../../../attest/index.ts";
import { isPpmlError, PpmlError } from "../../../base/index.ts";
import { defineCommand, projectFlags } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { evidenceFlags, readEvidence, verifyInput } from "../../evidence-input.ts";
import type { EvidenceFlags } from "../../evidence-input.ts";
import { renderTable } from "../../output/table.ts";

/** Evidence of a file; a refusal says which of the two files it is about. */
async function readVerified(
  context: CliContext,
  file: string,
  flags: EvidenceFlags,
): Promise<Evidence> {
  try {
    const input = await readEvidence(context, file, flags);
    return (await verifyInput(context, input, flags)).evidence;
  } catch (error) {
    if (!isPpmlError(error)) throw error;
    const { code, message, detail } = error;
    throw new PpmlError(code, `${file}: ${message}`, { cause: error, detail });
  }
}

/** `ppml attest diff A B`: in which claims two pieces of Evidence differ. */
export const command = defineCommand<EvidenceFlags, [string, string]>({
  parameters: {
    flags: { ...projectFlags, ...evidenceFlags },
    positional: {
      kind: "tuple",
      parameters: [
        { placeholder: "A", brief: "Evidence, as for attest verify", parse: String },
        { placeholder: "B", brief: "Evidence to compare it with", parse: String },
      ],
    },
  },
  description:
    "Both are verified first, with the same collateral and for the same time; exit code 1 where they\n" +
    "differ, as diff's.",
  async run(context, flags, ...files) {
    const [first, second] = files;
    const evidence = [];
    for (const file of files) evidence.push(await readVerified(context, file, flags));
    const [a, b] = evidence;
    const differences = a === undefined || b === undefined ? [] : diffEvidence(a, b);
    return {
      data: { same: differences.length === 0, differences },
      human: () =>
        differences.length === 0
          ? "no claim differs\n"
          : renderTable({
              columns: [{ title: "claim" }, { title: first }, { title: second }],
              rows: differences.map(({ claim, a: left, b: right }) => [
                claim,
                String(left),
                String(right),
              ]),
              style: context.style,
            }),
      exitCode: differences.length === 0 ? 0 : 1,
    };
  },
});
