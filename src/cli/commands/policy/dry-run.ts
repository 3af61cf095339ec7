import { isPpmlError } from "../../../base/index.ts";
import { encodeJcs } from "../../../format/jcs.ts";
import { reportOn, reportRefusal } from "../../../attest/index.ts";
import type { AppraisalPolicy, EvidenceReport } from "../../../attest/index.ts";
import { loadAppraisal } from "../../appraisal-input.ts";
import { defineCommand, projectFlags } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import {
  addCollateral,
  atRecordedTime,
  evidenceFlags,
  readEvidenceFile,
  verifyInput,
} from "../../evidence-input.ts";
import type { EvidenceFlags } from "../../evidence-input.ts";
import { printable } from "../../output/printable.ts";

type Outcome = { readonly file: string } & EvidenceReport;

/** `ppml policy dry-run POLICY FILE...`: which past attestations a changed policy would refuse. */
export const command = defineCommand<EvidenceFlags, [string, ...string[]]>({
  parameters: {
    flags: { ...projectFlags, ...evidenceFlags },
    positional: {
      kind: "array",
      minimum: 2,
      parameter: {
        placeholder: "POLICY|EVIDENCE",
        brief: "A policy (name or file), then recorded Evidence or receipts",
        parse: String,
      },
    },
  },
  description:
    "Nothing is put in force: the policy's appraisal judges Evidence that was recorded, such as the\n" +
    "receipts of past results, each at the time of its job. Exit code 1 where it would refuse one.",
  async run(context, flags, ...args) {
    const [policyName, ...files] = args;
    const policy = await loadAppraisal(context, { policy: policyName, project: flags.project });
    const outcomes: Outcome[] = [];
    for (const file of files) outcomes.push(await judge(context, { file, flags, policy }));
    const refused = outcomes.filter(({ refusal }) => refusal !== null).length;
    return {
      data: { policy: policyName, accepted: outcomes.length - refused, refused, outcomes },
      human: () =>
        [
          ...outcomes.flatMap(({ file, refusal }) =>
            refusal === null
              ? [`accepts  ${printable(file)}`]
              : [
                  `REFUSES  ${printable(file)}`,
                  `           ${printable(refusal.message)}`,
                  `           -> ${printable(refusal.remedy)}`,
                ],
          ),
          `${refused} of ${outcomes.length} would be refused`,
          "",
        ].join("\n"),
      exitCode: refused === 0 ? 0 : 1,
    };
  },
});

async function judge(
  context: CliContext,
  options: {
    readonly file: string;
    readonly flags: EvidenceFlags;
    readonly policy: AppraisalPolicy;
  },
): Promise<Outcome> {
  const { file, flags, policy } = options;
  let kind = "unknown";
  try {
    const detected = await readEvidenceFile(context, file);
    kind = detected.wire.type;
    const input = atRecordedTime(await addCollateral(context, detected, flags), flags);
    const verified = await verifyInput(context, input, flags);
    const runtimeData = input.runtimeData === null ? null : encodeJcs(input.runtimeData);
    return { file, ...reportOn({ verified, policy, runtimeData }) };
  } catch (error) {
    if (!isPpmlError(error) || !error.code.startsWith("attest.")) throw error;
    return { file, ...reportRefusal(kind, error) };
  }
}
