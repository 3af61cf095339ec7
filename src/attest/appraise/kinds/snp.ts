import { z } from "zod";
import { toHex } from "../../../base/index.ts";
import { parseSnpGuestPolicy, parseSnpTcb } from "../../evidence/snp-fields.ts";
import type { SnpReport } from "../../evidence/snp-report.ts";
import {
  anySchema,
  bytesSchema,
  flagSchema,
  identitySchema,
  numberSchema,
  referencesSchema,
} from "../rules.ts";
import type { ClaimList } from "../rules.ts";

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

/** Policy for simulated Evidence of type `sim-snp`. */
export const simSnpPolicySchema = z.strictObject({ tee: z.literal("sim-snp"), ...snpReportShape });

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
