import { resolve } from "node:path";
import { chainOf, explainEvidence, peekClaims, reportOn, reportRefusal } from "../attest/index.ts";
import type { Evidence, EvidenceReport, Verified } from "../attest/index.ts";
import { isPpmlError } from "../base/index.ts";
import { encodeJcs } from "../format/jcs.ts";
import type { WireEvidence } from "../format/protocol.ts";
import { loadAppraisal, loadRuntimeData } from "./appraisal-input.ts";
import type { CliContext } from "./context.ts";
import { reportEar } from "./ear-input.ts";
import { addCollateral, evidenceFlags, readEvidenceFile, verifyInput } from "./evidence-input.ts";
import type { EvidenceFlags } from "./evidence-input.ts";

/** The flags of commands that judge one piece of Evidence. */
export type JudgeFlags = EvidenceFlags & {
  readonly policy?: string;
  readonly runtimeData?: string;
};

/** Parameters of `JudgeFlags`, without `json` and `project`. */
export const judgeFlags = {
  ...evidenceFlags,
  policy: {
    kind: "parsed",
    parse: String,
    brief: "Appraise it by this policy: a name of ppml.yaml, or a file",
    placeholder: "POLICY",
    optional: true,
  },
  runtimeData: {
    kind: "parsed",
    parse: String,
    brief: "JSON that the Evidence has to bind",
    placeholder: "FILE",
    optional: true,
  },
} as const;

/** What came of it, for both of its readers. */
export type Judged = {
  readonly report: EvidenceReport;
  /** Lines for a person. */
  readonly lines: readonly string[];
};

/**
 * Reads, verifies and, with a policy, appraises Evidence. A refusal of the Evidence is a result; what
 * is wrong with the call itself throws.
 * @throws cli.usage config.invalid release.policy
 */
export async function judgeEvidence(
  context: CliContext,
  file: string,
  flags: JudgeFlags,
): Promise<Judged> {
  const policy =
    flags.policy === undefined
      ? null
      : await loadAppraisal(context, { policy: flags.policy, project: flags.project });
  let wire: WireEvidence | null = null; // As far as it got: a refusal says of which kind it is.
  let verified: Verified<Evidence> | null = null;
  let report: EvidenceReport;
  try {
    const detected = await readEvidenceFile(context, file);
    wire = detected.wire;
    const input = await addCollateral(context, detected, flags);
    wire = input.wire;
    if (input.wire.type === "ear") {
      report = await reportEar(context, input, flags);
      return {
        report,
        lines: explainEvidence({ report, verified: null, chain: [], unverified: {} }),
      };
    }
    verified = await verifyInput(context, input, flags);
    const runtimeData =
      flags.runtimeData === undefined
        ? input.runtimeData && encodeJcs(input.runtimeData)
        : await loadRuntimeData(resolve(context.cwd, flags.runtimeData));
    report = reportOn({ verified, policy, runtimeData });
  } catch (error) {
    if (!isPpmlError(error) || !error.code.startsWith("attest.")) throw error;
    report = reportRefusal(wire?.type ?? "unknown", error);
  }
  const chain = wire === null ? [] : chainOf(wire);
  const unverified = wire === null ? {} : peekClaims(wire);
  return { report, lines: explainEvidence({ report, verified, chain, unverified }) };
}
