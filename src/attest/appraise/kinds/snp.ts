import { z } from "zod";
import { toHex } from "../../../base/index.ts";
import type { SnpEvidence, SnpVerification } from "../../evidence/snp-evidence.ts";
import { parseSnpGuestPolicy, parseSnpTcb } from "../../evidence/snp-fields.ts";
import type { SnpTcb } from "../../evidence/snp-fields.ts";
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
import type { ClaimValues } from "../rules.ts";

const textOrAny = z.union([textRuleSchema, anySchema]);

/** VMPL: 0 is the most privileged, so that a minimum would say the wrong thing. */
export const vmplSchema = z.union([
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
  /** Whether AMD's list of revoked ASKs and ASVKs was there, signed and of this time. */
  revocationChecked: flagSchema,
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

/**
 * What a report says, by claim. `tcb` is its REPORTED_TCB as it was verified: a report of version 2
 * does not tell its product, and with it the layout; its key's certificate does.
 */
export function snpReportValues(
  report: SnpReport,
  tcb: SnpTcb = parseSnpTcb(report.reportedTcb, report),
): ClaimValues<SnpReportPolicy> {
  const guest = parseSnpGuestPolicy(report.policy);
  return {
    measurement: toHex(report.measurement),
    hostData: toHex(report.hostData),
    familyId: toHex(report.familyId),
    imageId: toHex(report.imageId),
    idKeyDigest: toHex(report.idKeyDigest),
    authorKeyDigest: toHex(report.authorKeyDigest),
    chipId: toHex(report.chipId),
    guestSvn: report.guestSvn,
    vmpl: report.vmpl,
    debug: guest.debug,
    migrationAllowed: guest.migrateMa,
    smtAllowed: guest.smt,
    singleSocket: guest.singleSocket,
    "reportedTcb.bootloader": tcb.bootloader,
    "reportedTcb.tee": tcb.tee,
    "reportedTcb.snp": tcb.snp,
    "reportedTcb.microcode": tcb.microcode,
  };
}

const hardwarePolicySchema = z.strictObject(snpHardwareShape);
/** The rules for AMD's hardware. */
export type SnpHardwarePolicy = z.infer<typeof hardwarePolicySchema>;

/** What the verification found of the hardware. */
export function snpHardwareValues(snp: SnpVerification): ClaimValues<SnpHardwarePolicy> {
  return {
    product: snp.product,
    signingKey: snp.signingKey,
    fmcSvn: snp.tcb.reported.fmc,
    committedSnpSvn: snp.tcb.committed.snp,
    revocationChecked: snp.revocationChecked,
  };
}

/** What `snp` Evidence says, by claim. */
export function snpValues(evidence: SnpEvidence): ClaimValues<SnpPolicy> {
  const { uvm } = evidence;
  return {
    ...snpReportValues(evidence.report, evidence.snp.tcb.reported),
    ...snpHardwareValues(evidence.snp),
    uvmIssuer: uvm?.issuer ?? null,
    uvmFeed: uvm?.feed ?? null,
    uvmSvn: uvm?.svn ?? null,
  };
}
