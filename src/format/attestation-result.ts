import { z } from "zod";

/** What a TEE excludes, by name. @see docs/threat-model.md */
export const teeProfileSchema = z.enum(["sim", "snp", "snp-node", "tdx", "sgx"]);
export type TeeProfile = z.infer<typeof teeProfileSchema>;

const claimValueSchema = z.union([z.string().max(4096), z.number(), z.boolean(), z.null()]);

/** What the appraisal found for one claim. */
export const claimOutcomeSchema = z.strictObject({
  claim: z.string().max(200),
  /** `not-checked`: the policy says "any". */
  outcome: z.enum(["met", "not-met", "missing", "not-checked"]),
  /** What the policy asks for, in words or as its value. */
  expected: claimValueSchema,
  actual: claimValueSchema,
  /** What to do about it; null where nothing is to be done. */
  remedy: z.string().max(1000).nullable(),
});
export type ClaimOutcome = z.infer<typeof claimOutcomeSchema>;

/** The wire form of an Attestation Result. @see RFC 9334 section 8.4 */
export const attestationResultSchema = z.strictObject({
  evidenceType: z.string().max(40),
  profile: teeProfileSchema,
  simulated: z.boolean(),
  accepted: z.boolean(),
  outcomes: z.array(claimOutcomeSchema).max(200),
});
export type AttestationResultData = z.infer<typeof attestationResultSchema>;
