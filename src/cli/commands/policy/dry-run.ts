import { isPpmlError } from "../../../base/index.ts";
import { encodeJcs } from "../../../format/jcs.ts";
import { appraise, boundData, expectedBinding } from "../../../attest/index.ts";
import { reportOn, reportRefusal } from "../../../attest/index.ts";
import type { Evidence, EvidenceReport, Verified } from "../../../attest/index.ts";
import type { Mode } from "../../../format/kek.ts";
import { checkAttestation, checkNamesPod } from "../../../release/index.ts";
import { loadEvidenceRules } from "../../appraisal-input.ts";
import type { EvidenceRules } from "../../appraisal-input.ts";
import { defineCommand, projectFlags } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import type { CliContext } from "../../context.ts";
import {
  addCollateral,
  atRecordedTime,
  evidenceFlags,
  readEvidenceFile,
  verifyInput,
} from "../../evidence-input.ts";
import type { EvidenceFlags, EvidenceInput } from "../../evidence-input.ts";
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
    "Nothing is put in force: the policy's appraisal and release part judge Evidence that was recorded,\n" +
    "such as the receipts of past results, each at the time of its job. What is not in Evidence is not\n" +
    "judged: signers, code, purposes and grants. Exit code 1 where it would refuse one.",
  async run(context, flags, ...args) {
    const [policyName, ...files] = args;
    const named = { policy: policyName, project: flags.project };
    const rules = await loadEvidenceRules(context, named);
    const mode = await modeOfProject(context, flags);
    const outcomes: Outcome[] = [];
    for (const file of files) outcomes.push(await judge(context, { file, flags, rules, mode }));
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

/** Null outside a project: then the Evidence says which mode it is for. */
async function modeOfProject(context: CliContext, flags: EvidenceFlags): Promise<Mode | null> {
  try {
    return (await loadProject({ cwd: context.cwd, folder: flags.project })).config.mode;
  } catch (error) {
    if (isPpmlError(error, "config.missing")) return null;
    throw error;
  }
}

async function judge(
  context: CliContext,
  options: {
    readonly file: string;
    readonly flags: EvidenceFlags;
    readonly rules: EvidenceRules;
    readonly mode: Mode | null;
  },
): Promise<Outcome> {
  const { file, flags, rules, mode } = options;
  let kind = "unknown";
  try {
    const detected = await readEvidenceFile(context, file);
    kind = detected.wire.type;
    const input = atRecordedTime(await addCollateral(context, detected, flags), flags);
    const verified = await verifyInput(context, input, flags);
    const { runtimeData } = input;
    const report = reportOn({
      verified,
      policy: rules.appraisal,
      runtimeData: runtimeData === null ? null : encodeJcs(runtimeData),
    });
    const refusal = report.refusal ?? refusalOf({ verified, runtimeData, rules, mode });
    return { file, ...report, refusal };
  } catch (error) {
    if (!isPpmlError(error) || !error.code.startsWith("attest.")) throw error;
    return { file, ...reportRefusal(kind, error) };
  }
}

/** What a broker refuses although the appraisal accepts: as it decides, by the same checks. */
function refusalOf(options: {
  readonly verified: Verified<Evidence>;
  readonly runtimeData: EvidenceInput["runtimeData"];
  readonly rules: EvidenceRules;
  readonly mode: Mode | null;
}): EvidenceReport["refusal"] {
  const { verified, runtimeData, rules } = options;
  const { appraisal, release, codeDigests } = rules;
  if (release === null) return null;
  const { evidence } = verified;
  const reportData =
    runtimeData === null ? boundData(evidence) : expectedBinding(evidence, encodeJcs(runtimeData));
  const result = appraise({
    evidence: verified,
    policy: appraisal,
    reportData,
    nowMs: verified.verifiedAt,
  });
  const mode = options.mode ?? (verified.simulated ? "simulation" : "production");
  try {
    checkAttestation({ result, runtimeData, rules: { appraisal, release }, mode });
    if (codeDigests !== null) checkNamesPod(result, codeDigests);
    return null;
  } catch (error) {
    if (!isPpmlError(error)) throw error;
    return { code: error.code, message: error.message, remedy: REMEDY };
  }
}

const REMEDY =
  "The appraisal accepts this Evidence, and the policy as a whole does not: bring its parts in line before it is applied.";
