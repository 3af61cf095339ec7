import { z } from "zod";
import {
  maaSgxPolicySchema,
  maaSnpPolicySchema,
  maaSnpVmPolicySchema,
  maaTdPolicySchema,
  maaTdVmPolicySchema,
} from "./kinds/maa.ts";
import { sgxPolicySchema } from "./kinds/sgx.ts";
import { simSnpPolicySchema, snpPolicySchema } from "./kinds/snp.ts";
import type { SimSnpPolicy } from "./kinds/snp.ts";
import { tdxPolicySchema } from "./kinds/tdx.ts";
import { azSnpVtpmPolicySchema, azTdxVtpmPolicySchema } from "./kinds/vtpm.ts";
import type { Rule } from "./rules.ts";

const NO_CLAIMS = new Set(["tee", "profile", "references"]);

const KINDS = [
  simSnpPolicySchema,
  sgxPolicySchema,
  tdxPolicySchema,
  snpPolicySchema,
  azSnpVtpmPolicySchema,
  azTdxVtpmPolicySchema,
  maaSgxPolicySchema,
  maaSnpPolicySchema,
  maaTdPolicySchema,
  maaSnpVmPolicySchema,
  maaTdVmPolicySchema,
] as const;

/**
 * What Evidence has to say to be accepted: every claim of the TEE's kind named with a value, a set,
 * a minimum, "reference" or "any". A claim left out, and one that is not known, is refused.
 * @see docs/appraisal.md
 */
export const appraisalPolicySchema = z
  .discriminatedUnion("tee", KINDS)
  .superRefine((policy, context) => {
    const claims = referenceClaims(policy);
    policy.references.forEach((set, index) => {
      const named = Object.keys(set.values).sort();
      if (named.join() !== claims.join())
        context.addIssue({
          code: "custom",
          path: ["references", index, "values"],
          message: `expected the values of exactly the claims whose rule is "reference" (${claims.join(", ") || "none"}), got ${named.join(", ") || "none"}`,
        });
    });
    policy.references.forEach(({ values }, index) => {
      for (const [claim, value] of Object.entries(values))
        if (!isReferenceValue(claim, value))
          context.addIssue({
            code: "custom",
            path: ["references", index, "values", claim],
            message: `${JSON.stringify(value)} is no value of ${claim}, so that no Evidence has it: ${VALUE_FORM}`,
          });
    });
    if (claims.length > 0 && policy.references.length === 0)
      context.addIssue({
        code: "custom",
        path: ["references"],
        message: `${claims.join(", ")} refer to reference sets, and there is none`,
      });
  });
export type AppraisalPolicy = z.infer<typeof appraisalPolicySchema>;

/** Tells whether a policy accepts Evidence that names a node of a cluster, and not what runs there. */
export function namesNode(policy: AppraisalPolicy): boolean {
  if (policy.tee === "maa-azurevm-snp" || policy.tee === "maa-azurevm-tdx") return true;
  return "profile" in policy && policy.profile === "snp-node";
}

/** The claims, by their paths and in order, whose rule is "reference". */
export function referenceClaims(policy: AppraisalPolicy): string[] {
  return listRules(policy)
    .filter(([, rule]) => rule === "reference")
    .map(([claim]) => claim)
    .sort();
}

/** The form of a reference set's values, in words. */
export const VALUE_FORM =
  "bytes are lower-case hex of exactly the field's length, and numbers are whole";

/** Whether a claim can have the value in Evidence of any kind whose claim may be `"reference"`. */
export function isReferenceValue(claim: string, value: string | number): boolean {
  const [name = "", part] = claim.split(".");
  return KINDS.some(({ shape }) => {
    const members: z.ZodRawShape = shape;
    const member = members[name];
    const rule = member instanceof z.ZodObject ? member.shape[part ?? ""] : member;
    if (!(rule instanceof z.ZodType)) return false;
    return rule.safeParse("reference").success && rule.safeParse({ equals: value }).success;
  });
}

/** The paths of all claims that policies of any kind name, in order. */
export function claimNames(): string[] {
  const names = KINDS.flatMap(({ shape }) => namesIn("", shape));
  return [...new Set(names)].filter((name) => !NO_CLAIMS.has(name)).toSorted();
}

function namesIn(prefix: string, shape: z.ZodRawShape): string[] {
  return Object.entries(shape).flatMap(([name, schema]) =>
    schema instanceof z.ZodObject ? namesIn(`${prefix}${name}.`, schema.shape) : [prefix + name],
  );
}

/** Every rule of a policy under its claim's path. */
export function listRules(policy: AppraisalPolicy): (readonly [claim: string, rule: Rule])[] {
  return Object.entries(policy).flatMap(([name, value]) =>
    NO_CLAIMS.has(name) ? [] : rulesIn(name, value),
  );
}

function rulesIn(path: string, value: unknown): (readonly [claim: string, rule: Rule])[] {
  if (isRule(value)) return [[path, value]];
  return Object.entries(value ?? {}).flatMap(([name, inner]: [string, unknown]) =>
    rulesIn(`${path}.${name}`, inner),
  );
}

function isRule(value: unknown): value is Rule {
  if (typeof value === "string") return true;
  return (
    typeof value === "object" &&
    value !== null &&
    ["equals", "oneOf", "atLeast", "only"].some((operator) => operator in value)
  );
}

/**
 * The policy that simulation starts from: these measurements (48 bytes, lower-case hex, at least
 * one), no debugging, no migration, VMPL 0; "any" for what tells one machine from another.
 */
export function simulationPolicy(measurements: readonly string[]): SimSnpPolicy {
  return simSnpPolicySchema.parse({
    tee: "sim-snp",
    references: [],
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
  });
}
