import { z } from "zod";
import { toHex } from "../../../base/index.ts";
import type { SnpEvidence, SnpVerification } from "../../evidence/snp-evidence.ts";
import { parseSnpGuestPolicy, parseSnpTcb } from "../../evidence/snp-fields.ts";
import type { SnpReport } from "../../evidence/snp-report.ts";
import {
  anySchema,
  bytesSchema,
  flagSchema,
  identitySchema,
  numberSchema,
  referencesSchema,
  textRuleSchema,
  wordSchema,
} from "../rules.ts";
import type { ClaimList } from "../rules.ts";

const textOrAny = z.union([textRuleSchema, anySchema]);

/** VMPL: 0 is the most privileged, so that a minimum would say the wrong thing. */
const vmplSchema = z.union([
  z.strictObject({ equals: z.int().min(0).max(3) }),
  z.strictObject({ oneOf: z.array(z.int().min(0).max(3)).min(1).max(4) }),
  anySchema,
]);

/** What every policy for an SEV-SNP report says, whatever carries the report. */
export const snpReportShape = {
  references: referencesSchema,
  /** The launch digest: never "any". */
  measurement: identitySchema(48),
  hostData: bytesSchema(32),
  familyId: bytesSchema(16),
  imageId: bytesSchema(16),
  idKeyDigest: bytesSchema(48),
  authorKeyDigest: bytesSchema(48),
  chipId: bytesSchema(64),
  guestSvn: numberSchema,
  vmpl: vmplSchema,
  debug: flagSchema,
  migrationAllowed: flagSchema,
  smtAllowed: flagSchema,
  singleSocket: flagSchema,
  reportedTcb: z.strictObject({
    bootloader: numberSchema,
    tee: numberSchema,
    snp: numberSchema,
    microcode: numberSchema,
  }),
};

/** What a policy for AMD's hardware says besides the report. */
export const snpHardwareShape = {
  product: wordSchema(["Milan", "Genoa", "Turin"]),
  /** The key that signs: of this chip, or one that the cloud provider loaded. */
  signingKey: wordSchema(["vcek", "vlek"]),
  /** FMC's SVN of the reported TCB, on Turin only. */
  fmcSvn: numberSchema,
  /** The committed TCB, below which the firmware cannot be rolled back. */
  committedSnpSvn: numberSchema,
};

/** Policy for simulated Evidence of type `sim-snp`. */
export const simSnpPolicySchema = z.strictObject({ tee: z.literal("sim-snp"), ...snpReportShape });
export type SimSnpPolicy = z.infer<typeof simSnpPolicySchema>;

/**
 * Policy for Evidence of type `snp`: confidential containers (HOST_DATA names the workload, a
 * utility VM's endorsement the measurement) and VMs with a measured image.
 */
export const snpPolicySchema = z.strictObject({
  tee: z.literal("snp"),
  ...snpReportShape,
  ...snpHardwareShape,
  /** Who endorses the utility VM (did:x509), for which feed, and at least which SVN. */
  uvmIssuer: textOrAny,
  uvmFeed: textOrAny,
  uvmSvn: numberSchema,
});
type SnpPolicy = z.infer<typeof snpPolicySchema>;

const reportPolicySchema = z.strictObject(snpReportShape);
/** The rules for a report, without what carries it. */
export type SnpReportPolicy = z.infer<typeof reportPolicySchema>;

/** The rules of a policy beside what a report says. */
export function snpReportClaims(
  policy: SnpReportPolicy,
  report: SnpReport,
): ClaimList<SnpReportPolicy> {
  const guest = parseSnpGuestPolicy(report.policy);
  const tcb = parseSnpTcb(report.reportedTcb, report);
  return {
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
}

const hardwarePolicySchema = z.strictObject(snpHardwareShape);
/** The rules for AMD's hardware. */
export type SnpHardwarePolicy = z.infer<typeof hardwarePolicySchema>;

/** The rules of a policy beside what the verification found of the hardware. */
export function snpHardwareClaims(
  policy: SnpHardwarePolicy,
  snp: SnpVerification,
): ClaimList<SnpHardwarePolicy> {
  return {
    product: [policy.product, snp.product],
    signingKey: [policy.signingKey, snp.signingKey],
    fmcSvn: [policy.fmcSvn, snp.tcb.reported.fmc],
    committedSnpSvn: [policy.committedSnpSvn, snp.tcb.committed.snp],
  };
}

/** The rules of a policy beside what `snp` Evidence says. */
export function snpClaims(policy: SnpPolicy, evidence: SnpEvidence): ClaimList<SnpPolicy> {
  const { uvm } = evidence;
  return {
    ...snpReportClaims(policy, evidence.report),
    ...snpHardwareClaims(policy, evidence.snp),
    uvmIssuer: [policy.uvmIssuer, uvm?.issuer ?? null],
    uvmFeed: [policy.uvmFeed, uvm?.feed ?? null],
    uvmSvn: [policy.uvmSvn, uvm?.svn ?? null],
  };
}
