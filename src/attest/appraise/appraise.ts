import { equalBytes, toHex } from "../../base/index.ts";
import type { AttestationResultData, ClaimOutcome } from "../../format/attestation-result.ts";
import type { Evidence } from "../evidence/evidence.ts";
import { parseSnpGuestPolicy, parseSnpTcb } from "../evidence/snp-fields.ts";
import type { SnpReport } from "../evidence/snp-report.ts";
import type { Verified } from "../verify/verified.ts";
import type { AppraisalPolicy } from "./policy.ts";
import { REMEDIES } from "./remedies.ts";
import { checkClaim } from "./rules.ts";
import type { ClaimValue, Rule } from "./rules.ts";

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
 * policy says "any" for it.
 */
export function appraise(options: {
  readonly evidence: Verified<Evidence>;
  readonly policy: AppraisalPolicy;
  readonly reportData: Uint8Array;
}): AttestationResult {
  const { evidence: verified, policy, reportData } = options;
  const { report, type } = verified.evidence;
  const outcomes = [
    teeOutcome(policy.tee, type),
    reportDataOutcome(report.reportData, reportData),
    ...snpOutcomes(policy, report),
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

function teeOutcome(expected: string, actual: string): ClaimOutcome {
  return checkClaim({
    claim: "tee",
    rule: { equals: expected },
    actual,
    remedy: REMEDIES.tee,
  });
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

function snpOutcomes(policy: AppraisalPolicy, report: SnpReport): ClaimOutcome[] {
  const guest = parseSnpGuestPolicy(report.policy);
  const tcb = parseSnpTcb(report.reportedTcb, report);
  const claims: Record<SnpClaim, readonly [Rule, ClaimValue]> = {
    measurement: [policy.measurement, toHex(report.measurement)],
    hostData: [policy.hostData, toHex(report.hostData)],
    familyId: [policy.familyId, toHex(report.familyId)],
    imageId: [policy.imageId, toHex(report.imageId)],
    idKeyDigest: [policy.idKeyDigest, toHex(report.idKeyDigest)],
    authorKeyDigest: [policy.authorKeyDigest, toHex(report.authorKeyDigest)],
    chipId: [policy.chipId, toHex(report.chipId)],
    guestSvn: [policy.guestSvn, report.guestSvn],
    vmpl: [policy.vmpl, report.vmpl],
    debug: [policy.debug, guest.debug],
    migrationAllowed: [policy.migrationAllowed, guest.migrateMa],
    smtAllowed: [policy.smtAllowed, guest.smt],
    singleSocket: [policy.singleSocket, guest.singleSocket],
    "reportedTcb.bootloader": [policy.reportedTcb.bootloader, tcb.bootloader],
    "reportedTcb.tee": [policy.reportedTcb.tee, tcb.tee],
    "reportedTcb.snp": [policy.reportedTcb.snp, tcb.snp],
    "reportedTcb.microcode": [policy.reportedTcb.microcode, tcb.microcode],
  };
  return Object.entries(claims).map(([claim, [rule, actual]]) =>
    checkClaim({ claim, rule, actual, remedy: REMEDIES[claim as SnpClaim] }),
  );
}

/** Every claim of the policy by its path: one that is missing below does not compile. */
type SnpClaim =
  | Exclude<keyof AppraisalPolicy, "tee" | "reportedTcb">
  | `reportedTcb.${keyof AppraisalPolicy["reportedTcb"]}`;
