import { equalBytes, toHex } from "../../base/index.ts";
import type { AttestationResultData, ClaimOutcome } from "../../format/attestation-result.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { Verified } from "../verify/verified.ts";
import { checkClaim, checkClaims } from "./check-claim.ts";
import { snpReportClaims } from "./kinds/snp.ts";
import type { AppraisalPolicy } from "./policy.ts";
import { REMEDIES } from "./remedies.ts";

declare const resultBrand: unique symbol;

/** What an appraisal found. Only `appraise` makes one, and it may say no. @see RFC 9334 section 8.4 */
export type AttestationResult = {
  /** The wire form: one outcome a claim, and `accepted`. */
  readonly data: AttestationResultData;
  readonly verified: Verified<Evidence>;
  /** The 64 bytes that the Evidence was expected to bind. */
  readonly reportData: Uint8Array;
  readonly [resultBrand]: true;
};

/**
 * Compares verified Evidence with a policy and with the report data that the relying party expects
 * (64 bytes, computed from the runtime data by itself). Accepted only if every claim is met or the
 * policy says "any" for it. Reference sets expire by the time that the Evidence was verified for.
 */
export function appraise(options: {
  readonly evidence: Verified<Evidence>;
  readonly policy: AppraisalPolicy;
  readonly reportData: Uint8Array;
}): AttestationResult {
  const { evidence: verified, policy, reportData } = options;
  const { report, type } = verified.evidence;
  const outcomes = [
    checkClaim({ claim: "tee", rule: { equals: policy.tee }, actual: type }),
    reportDataOutcome(report.reportData, reportData),
    ...checkClaims({
      claims: snpReportClaims(policy, report),
      references: policy.references,
      nowMs: verified.verifiedAt,
    }),
  ];
  return Object.freeze({
    data: {
      evidenceType: type,
      profile: verified.profile,
      simulated: verified.simulated,
      accepted: outcomes.every(({ outcome }) => outcome === "met" || outcome === "not-checked"),
      outcomes,
    },
    verified,
    reportData: Uint8Array.from(reportData),
  }) as AttestationResult;
}

function reportDataOutcome(actual: Uint8Array, expected: Uint8Array): ClaimOutcome {
  const met = equalBytes(actual, expected);
  return {
    claim: "reportData",
    outcome: met ? "met" : "not-met",
    expected: toHex(expected),
    actual: toHex(actual),
    remedy: met ? null : REMEDIES.reportData,
  };
}
