import { z } from "zod";
import { PpmlError } from "../../base/index.ts";
import { parseWith } from "../schema.ts";

const MAX_DEPTH = 8;
const MAX_CONDITIONS = 1000;
const MAX_AUTHORITIES = 100;

/** What a claim is compared with: JSON arrays and objects are not allowed. */
export type SkrValue = string | number | boolean;

/** The operators of the grammar page. */
export type SkrOperator =
  | "equals"
  | "notEquals"
  | "less"
  | "lessOrEquals"
  | "greater"
  | "greaterOrEquals"
  | "exists";

/** One claim, by its dotted path, and one operator. */
export type SkrClaimCondition = { readonly claim: string } & (
  | { readonly equals: SkrValue }
  | { readonly notEquals: SkrValue }
  | { readonly less: number }
  | { readonly lessOrEquals: number }
  | { readonly greater: number }
  | { readonly greaterOrEquals: number }
  | { readonly exists: boolean }
);

/** A condition on one claim, or a nested list of conditions. */
export type SkrCondition =
  | SkrClaimCondition
  | { readonly anyOf: readonly SkrCondition[] }
  | { readonly allOf: readonly SkrCondition[] };

/** The conditions on what one authority (issuer) says. */
export type SkrAuthority = { readonly authority: string } & (
  | { readonly anyOf: readonly SkrCondition[] }
  | { readonly allOf: readonly SkrCondition[] }
);

/** A Secure Key Release policy. @see docs/policy.md "The release grammar" */
export type SkrPolicy = { readonly version: "1.0.0"; readonly anyOf: readonly SkrAuthority[] };

const claimSchema = z
  .string()
  .max(500)
  .regex(/^[^.\s]+(?:\.[^.\s]+){0,15}$/, "expected a claim's name, or a dotted path of at most 16");
// A greater whole number is read as a neighbour of the one that was written.
const numberSchema = z
  .number()
  .refine((value) => !Number.isInteger(value) || Number.isSafeInteger(value));
const valueSchema = z.union([z.string().max(4096), numberSchema, z.boolean()], {
  error: "expected a string, a number (whole ones below 2^53), true or false",
});
const conditionsSchema = z.lazy(() => z.array(conditionSchema).min(1).max(MAX_CONDITIONS));

const conditionSchema: z.ZodType<SkrCondition> = z.union(
  [
    z.strictObject({ claim: claimSchema, equals: valueSchema }),
    z.strictObject({ claim: claimSchema, notEquals: valueSchema }),
    // The sources do not say how strings are ordered, so none are: docs/policy.md.
    z.strictObject({ claim: claimSchema, less: numberSchema }),
    z.strictObject({ claim: claimSchema, lessOrEquals: numberSchema }),
    z.strictObject({ claim: claimSchema, greater: numberSchema }),
    z.strictObject({ claim: claimSchema, greaterOrEquals: numberSchema }),
    z.strictObject({ claim: claimSchema, exists: z.boolean() }),
    z.strictObject({ anyOf: conditionsSchema }),
    z.strictObject({ allOf: conditionsSchema }),
  ],
  {
    error:
      'expected {"claim", one of equals, notEquals, exists, or with a number less, lessOrEquals, greater, greaterOrEquals}, {"anyOf": [...]} or {"allOf": [...]}',
  },
);

const issuerSchema = z.string().regex(/^[\x21-\x7e]{1,300}$/, "expected the issuer's URL");
const authoritySchema: z.ZodType<SkrAuthority> = z.union(
  [
    z.strictObject({ authority: issuerSchema, anyOf: conditionsSchema }),
    z.strictObject({ authority: issuerSchema, allOf: conditionsSchema }),
  ],
  { error: 'expected {"authority", and exactly one of "anyOf" and "allOf" with conditions}' },
);

/** Schema of a Secure Key Release policy; at most 8 levels and 1,000 conditions in all. */
export const skrPolicySchema: z.ZodType<SkrPolicy> = z
  .unknown()
  .superRefine((policy, context) => {
    const problem = boundsProblem(policy);
    if (problem !== null) context.addIssue({ code: "custom", message: problem, fatal: true });
  })
  .pipe(
    z.strictObject({
      version: z.literal("1.0.0"),
      anyOf: z.array(authoritySchema).min(1).max(MAX_AUTHORITIES),
    }),
  );

/**
 * Parses a Secure Key Release policy from JSON data.
 * @throws release.policy where it is not in the grammar or over its bounds
 */
export function parseSkrPolicy(value: unknown): SkrPolicy {
  return parseWith(skrPolicySchema, value, { what: "release policy", code: "release.policy" });
}

/** The operator of a claim's condition and the value that it compares with. */
export function operatorOf(condition: SkrClaimCondition): {
  readonly operator: SkrOperator;
  readonly expected: SkrValue;
} {
  if ("equals" in condition) return { operator: "equals", expected: condition.equals };
  if ("notEquals" in condition) return { operator: "notEquals", expected: condition.notEquals };
  if ("less" in condition) return { operator: "less", expected: condition.less };
  if ("lessOrEquals" in condition)
    return { operator: "lessOrEquals", expected: condition.lessOrEquals };
  if ("greater" in condition) return { operator: "greater", expected: condition.greater };
  if ("greaterOrEquals" in condition)
    return { operator: "greaterOrEquals", expected: condition.greaterOrEquals };
  if ("exists" in condition) return { operator: "exists", expected: condition.exists };
  throw new PpmlError("base.internal", "a claim condition has no operator");
}

/** Every condition on a claim in the policy, in order. */
export function claimConditions(policy: SkrPolicy): SkrClaimCondition[] {
  const flat = (condition: SkrCondition): SkrClaimCondition[] => {
    if ("anyOf" in condition) return condition.anyOf.flatMap(flat);
    return "allOf" in condition ? condition.allOf.flatMap(flat) : [condition];
  };
  return policy.anyOf.flatMap((entry) =>
    ("anyOf" in entry ? entry.anyOf : entry.allOf).flatMap(flat),
  );
}

/** Walks the raw value without recursion, so that no depth and no number can hurt. */
function boundsProblem(policy: unknown): string | null {
  let level: unknown[] = [policy];
  let seen = 0;
  let claims = 0;
  // Two JSON levels (object, array) make one level of the grammar; one more holds the policy.
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > 2 * (MAX_DEPTH + 1)) return `expected at most ${MAX_DEPTH} levels of conditions`;
    const next: unknown[] = [];
    for (const item of level)
      if (typeof item === "object" && item !== null) {
        if (Object.hasOwn(item, "claim")) claims += 1;
        for (const child of Object.values(item))
          if (typeof child === "object" && child !== null) next.push(child);
      }
    seen += next.length;
    if (claims > MAX_CONDITIONS || seen > 3 * MAX_CONDITIONS)
      return `expected at most ${MAX_CONDITIONS} conditions`;
    level = next;
  }
  return null;
}
