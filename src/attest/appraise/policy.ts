import { z } from "zod";
import { anySchema, bytesRuleSchema, flagRuleSchema, numberRuleSchema } from "./rules.ts";

const bytesOrAny = (length: number) => z.union([bytesRuleSchema(length), anySchema]);
const numberOrAny = z.union([numberRuleSchema, anySchema]);
const flagOrAny = z.union([flagRuleSchema, anySchema]);

/** VMPL: 0 is the most privileged, so that a minimum would say the wrong thing. */
const vmplSchema = z.union([
  z.strictObject({ equals: z.int().min(0).max(3) }),
  z.strictObject({ oneOf: z.array(z.int().min(0).max(3)).min(1).max(4) }),
  anySchema,
]);

const simSnpPolicySchema = z.strictObject({
  tee: z.literal("sim-snp"),
  /** The workload's identity: never "any". Several values stand side by side while a new one rolls out. */
  measurement: bytesRuleSchema(48),
  hostData: bytesOrAny(32),
  familyId: bytesOrAny(16),
  imageId: bytesOrAny(16),
  idKeyDigest: bytesOrAny(48),
  authorKeyDigest: bytesOrAny(48),
  chipId: bytesOrAny(64),
  guestSvn: numberOrAny,
  vmpl: vmplSchema,
  debug: flagOrAny,
  migrationAllowed: flagOrAny,
  smtAllowed: flagOrAny,
  singleSocket: flagOrAny,
  reportedTcb: z.strictObject({
    bootloader: numberOrAny,
    tee: numberOrAny,
    snp: numberOrAny,
    microcode: numberOrAny,
  }),
});

/**
 * What Evidence has to say to be accepted: every claim of the TEE's kind named with a value, a set,
 * a minimum or "any". A claim left out, and one that is not known, is refused.
 * @see docs/attestation.md section "Appraisal policy"
 */
export const appraisalPolicySchema = z.discriminatedUnion("tee", [simSnpPolicySchema]);
export type AppraisalPolicy = z.infer<typeof appraisalPolicySchema>;

/**
 * The policy that simulation starts from: these measurements (48 bytes, lower-case hex, at least
 * one), no debugging, no migration, VMPL 0; "any" for what tells one machine from another.
 */
export function simulationPolicy(measurements: readonly string[]): AppraisalPolicy {
  return appraisalPolicySchema.parse({
    tee: "sim-snp",
    measurement: { oneOf: measurements },
    hostData: { equals: "00".repeat(32) },
    familyId: "any",
    imageId: "any",
    idKeyDigest: "any",
    authorKeyDigest: "any",
    chipId: "any",
    guestSvn: { atLeast: 0 },
    vmpl: { equals: 0 },
    debug: { equals: false },
    migrationAllowed: { equals: false },
    smtAllowed: "any",
    singleSocket: "any",
    reportedTcb: {
      bootloader: { atLeast: 0 },
      tee: { atLeast: 0 },
      snp: { atLeast: 0 },
      microcode: { atLeast: 0 },
    },
  } satisfies Record<keyof AppraisalPolicy, unknown>);
}
