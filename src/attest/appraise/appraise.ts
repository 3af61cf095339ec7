import { equalBytes, toHex } from "../../base/index.ts";
import type { AttestationResultData, ClaimOutcome } from "../../format/attestation-result.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { Verified } from "../verify/verified.ts";
import { boundData } from "./binding.ts";
import { checkClaim, checkClaims } from "./check-claim.ts";
import { claimsOf, kindOf, profileUnder } from "./claims-of.ts";
import type { AppraisalPolicy } from "./policy.ts";
import { REMEDIES } from "./remedies.ts";

declare const resultBrand: unique symbol;

/** What an appraisal found. Only `appraise` makes one, and it may say no. @see RFC 9334 section 8.4 */
export type AttestationResult = {
  /** The wire form: one outcome a claim, and `accepted`. */
  readonly data: AttestationResultData;
  readonly verified: Verified<Evidence>;
  /** The bytes that the Evidence was expected to bind. */
  readonly reportData: Uint8Array;
  readonly [resultBrand]: true;
};

/**
 * Compares verified Evidence with a policy and with the bytes that the relying party expects it to
 * bind (`expectedBinding` of its own runtime data). Accepted only if every claim is met or the policy
 * says "any" for it. Reference sets expire by `nowMs` (milliseconds since 1970): a guest that attested
 * before gets nothing for a set that is over by now. A past attestation is judged for its own time.
 */
export function appraise(options: {
  readonly evidence: Verified<Evidence>;
  readonly policy: AppraisalPolicy;
  readonly reportData: Uint8Array;
  readonly nowMs: number;
}): AttestationResult {
  const { evidence: verified, policy, reportData, nowMs } = options;
  const { evidence } = verified;
  const claims = claimsOf(policy, evidence);
  const outcomes = [
    checkClaim({ claim: "tee", rule: { equals: policy.tee }, actual: kindOf(evidence) }),
    reportDataOutcome(boundData(evidence), reportData),
    ...(claims === null ? [] : checkClaims({ claims, references: policy.references, nowMs })),
  ];
  return Object.freeze({
    data: {
      evidenceType: evidence.type,
      profile: profileUnder(policy, verified.profile),
      simulated: verified.simulated,
      accepted:
        claims !== null &&
        outcomes.every(({ outcome }) => outcome === "met" || outcome === "not-checked"),
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
