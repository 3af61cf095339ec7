import { isPpmlError, toHex } from "../../base/index.ts";
import type { ErrorCode } from "../../base/index.ts";
import type { AttestationResultData } from "../../format/attestation-result.ts";
import { appraise } from "../appraise/appraise.ts";
import { baselineRefusal } from "../appraise/baseline.ts";
import { boundData, expectedBinding } from "../appraise/binding.ts";
import { kindOf, valuesOf } from "../appraise/claims-of.ts";
import type { AppraisalPolicy } from "../appraise/policy.ts";
import type { ClaimValue } from "../appraise/rules.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { Verified } from "../verify/verified.ts";
import { remedyOfCode } from "./remedies.ts";

/**
 * What was found of one piece of Evidence: the form of `ppml attest explain --json`, and without
 * `appraisal` that of `ppml attest verify --json`.
 */
export type EvidenceReport = {
  /** The signatures and chain hold and, without a policy, the TEE keeps its host out. */
  readonly verified: boolean;
  /** The kind of policy that judges it; its wire type where it was not verified. */
  readonly kind: string;
  readonly simulated: boolean;
  /** Intel's word of the platform's TCB; null for other kinds. */
  readonly tcbStatus: string | null;
  readonly advisoryIds: readonly string[];
  /** Every claim by its path in a policy, and `reportData`, what the Evidence binds in hex. */
  readonly claims: Readonly<Record<string, ClaimValue>>;
  readonly refusal: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly remedy: string;
  } | null;
  /** What the appraisal under the given policy found; null without one. */
  readonly appraisal: AttestationResultData | null;
};

/**
 * Reports on verified Evidence: under a policy by its appraisal, otherwise by the baseline that no TEE
 * may fall below. `runtimeData`: the bytes that it has to bind, in JCS form; null leaves that open, and
 * the appraisal then says nothing of report data.
 */
export function reportOn(options: {
  readonly verified: Verified<Evidence>;
  readonly policy: AppraisalPolicy | null;
  readonly runtimeData: Uint8Array | null;
}): EvidenceReport {
  const { verified, policy, runtimeData } = options;
  const { evidence } = verified;
  const values = valuesOf(evidence);
  const bound = boundData(evidence);
  const { tcbStatus, advisoryIds } = values;
  const facts = {
    kind: kindOf(evidence),
    simulated: verified.simulated,
    tcbStatus: typeof tcbStatus === "string" ? tcbStatus : null,
    advisoryIds: typeof advisoryIds === "object" && advisoryIds !== null ? advisoryIds : [],
    claims: { ...values, reportData: toHex(bound) },
  };
  if (policy === null) {
    const refusal = unprotected(evidence);
    return { ...facts, verified: refusal === null, refusal, appraisal: null };
  }
  const { data } = appraise({
    evidence: verified,
    policy,
    reportData: runtimeData === null ? bound : expectedBinding(evidence, runtimeData),
    nowMs: verified.verifiedAt,
  });
  const appraisal = runtimeData === null ? withoutBinding(data) : data;
  return { ...facts, verified: true, refusal: refusalOf(appraisal), appraisal };
}

/** Reports on Evidence that was not verified. @throws what is no PpmlError */
export function reportRefusal(kind: string, error: unknown): EvidenceReport {
  if (!isPpmlError(error)) throw error;
  const { code, message, detail } = error;
  const { remedy } = detail;
  return {
    verified: false,
    kind,
    simulated: kind.startsWith("sim-"),
    tcbStatus: null,
    advisoryIds: [],
    claims: {},
    refusal: {
      code,
      message,
      remedy: typeof remedy === "string" ? remedy : remedyOfCode(code, kind),
    },
    appraisal: null,
  };
}

function unprotected(evidence: Evidence): EvidenceReport["refusal"] {
  const found = baselineRefusal(evidence);
  if (found === null) return null;
  const message = `the Evidence is genuine, but its TEE does not keep its host out: ${found.claim} is ${found.actual}`;
  return { code: "attest.unprotected", message, remedy: found.remedy };
}

/** Nobody said what it was made for, so that nothing was compared. */
function withoutBinding(data: AttestationResultData): AttestationResultData {
  return { ...data, outcomes: data.outcomes.filter(({ claim }) => claim !== "reportData") };
}

function refusalOf(data: AttestationResultData): EvidenceReport["refusal"] {
  if (data.accepted) return null;
  const failed = data.outcomes.filter(({ outcome }) => /not-met|missing/.test(outcome));
  return {
    code: "release.denied",
    message: `the policy does not accept this Evidence: ${failed
      .map(
        ({ claim, outcome, expected, actual }) =>
          `${claim} is ${outcome === "missing" ? "missing" : actual}, expected ${expected}`,
      )
      .join("; ")}`,
    // Claims of one reference set have one remedy.
    remedy: [...new Set(failed.map(({ remedy }) => remedy ?? ""))].join(" "),
  };
}
