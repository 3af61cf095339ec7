import { defineCommand, projectFlags } from "../../command.ts";
import { judgeEvidence, judgeFlags } from "../../judge-evidence.ts";
import { printable } from "../../output/printable.ts";
import type { JudgeFlags } from "../../judge-evidence.ts";

/** `ppml attest explain FILE`: what Evidence says, claim by claim, and what stands against it. */
export const command = defineCommand<JudgeFlags, [string]>({
  parameters: {
    flags: { ...projectFlags, ...judgeFlags },
    positional: {
      kind: "tuple",
      parameters: [{ placeholder: "FILE", brief: "Evidence, as for attest verify", parse: String }],
    },
  },
  description:
    "Shows the claims in the standard's words, the chain, the TCB with its advisories, each claim\n" +
    "against the policy, and for each refusal what to do. Exit codes are those of attest verify.",
  async run(context, flags, file) {
    const { report, lines } = await judgeEvidence(context, file, flags);
    return {
      data: report,
      human: () => `${lines.map(printable).join("\n")}\n`,
      exitCode: report.refusal === null ? 0 : 1,
    };
  },
});
