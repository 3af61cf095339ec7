import { z } from "zod";
import { PpmlError } from "../base/index.ts";
import { appraisalPolicySchema } from "../attest/appraise/policy.ts";
import { encodeJcs } from "../format/jcs.ts";
import { purposeSchema } from "../format/job.ts";
import { kekIdSchema } from "../format/kek.ts";
import type { Mode } from "../format/kek.ts";
import {
  ecPublicJwkSchema,
  nameSchema,
  parseWith,
  sha256HexSchema,
  thumbprintSchema,
} from "../format/schema.ts";
import { resourcePathSchema } from "../format/resource.ts";
import { emitSkrPolicy } from "./skr/emit-skr.ts";
import { skrPolicySchema } from "../format/skr/skr-policy.ts";
import type { SkrPolicy } from "../format/skr/skr-policy.ts";

/** What a policy's file says of jobs; nothing is optional, "any" has to be written. */
const jobRulesSchema = z.strictObject({
  /** Public keys that may sign jobs. */
  signers: z.array(ecPublicJwkSchema).max(100),
  /** SHA-256 of each text or file that may run: every one of a job's has to be here. */
  codeDigests: z.union([z.array(sha256HexSchema).max(1000), z.literal("any")]),
  purposes: z.array(purposeSchema).max(100),
  /** Thumbprints of the KEK versions that results may be sealed for. */
  outputKeks: z.array(thumbprintSchema).max(100),
});

const fileShape = {
  v: z.literal(1),
  name: nameSchema,
  appraisal: appraisalPolicySchema.nullable(),
  release: skrPolicySchema.nullable(),
  jobs: jobRulesSchema.nullable(),
  /** Resources that an attested guest may get without a job. */
  resources: z.array(resourcePathSchema).max(1000),
  grants: z.array(kekIdSchema).max(1000),
  /** Who may open by a signed request of their own; a thumbprint stands for the broker's owner. */
  ownerOpen: z.array(z.union([ecPublicJwkSchema, thumbprintSchema])).max(100),
};

type Parts = {
  readonly appraisal: unknown;
  readonly release: unknown;
  readonly jobs: unknown;
  readonly resources: readonly unknown[];
};
const ALL_OR_NONE = {
  error:
    "appraisal and release belong to jobs and resources: give both where there are jobs or resources, and null for both where there are neither",
};

function allOrNone(policy: Parts): boolean {
  const attests = policy.jobs !== null || policy.resources.length > 0;
  return (policy.appraisal !== null) === attests && (policy.release !== null) === attests;
}

/** policies/NAME.json as its author writes it. @see docs/policy.md */
export const policyFileSchema = z.strictObject(fileShape).refine(allOrNone, ALL_OR_NONE);
export type PolicyFile = z.infer<typeof policyFileSchema>;

/** A policy as its owner signs it: the file's content and a version that only ever rises. */
export const policySchema = z
  .strictObject({ ...fileShape, version: z.int().min(1) })
  .refine(allOrNone, ALL_OR_NONE);
export type Policy = z.infer<typeof policySchema>;

/** The three parts of a policy that jobs need. */
export type JobPolicy = {
  readonly appraisal: NonNullable<Policy["appraisal"]>;
  readonly release: NonNullable<Policy["release"]>;
  readonly jobs: NonNullable<Policy["jobs"]>;
};

/**
 * Parses a policy's file from JSON data.
 * @throws release.policy
 */
export function parsePolicyFile(value: unknown): PolicyFile {
  return parseWith(policyFileSchema, value, { what: "policy", code: "release.policy" });
}

/**
 * Gives the policy to sign next: the file's content with the version after the one in force. Null
 * where the policy in force says the same already.
 * @throws release.policy where the names differ
 */
export function nextPolicy(file: PolicyFile, inForce: Policy | null): Policy | null {
  if (inForce === null) return { ...file, version: 1 };
  if (inForce.name !== file.name)
    throw new PpmlError(
      "release.policy",
      `expected the policy ${file.name} that is in force, came ${inForce.name}`,
    );
  const { version, ...content } = inForce;
  if (Buffer.from(encodeJcs(content)).equals(encodeJcs(file))) return null;
  return { ...file, version: version + 1 };
}

/** The name under which a vault's own broker makes claims: the `authority` of release policies. */
export function issuerOf(mode: Mode): string {
  return mode === "simulation" ? "tag:ppml,2026:issuer/simulation" : "tag:ppml,2026:issuer";
}

/**
 * The flat, equals-only release policy for TEEs of these SEV-SNP launch measurements (48 bytes,
 * lower-case hex): no debugging, and in simulation the claim that says so.
 * @throws release.policy
 */
export function releasePolicyFor(options: {
  readonly mode: Mode;
  readonly measurements: readonly string[];
}): SkrPolicy {
  const simulated = options.mode === "simulation";
  return emitSkrPolicy({
    authorities: [issuerOf(options.mode)],
    accepted: options.measurements.map((measurement) => ({
      "x-ms-attestation-type": "sevsnpvm",
      "x-ms-sevsnpvm-launchmeasurement": measurement,
      "x-ms-sevsnpvm-is-debuggable": false,
      "ppml.simulated": simulated,
    })),
  });
}
