import { z } from "zod";
import { badParameter } from "./refusal.ts";

// Written by Azure's grammar page and not with the code that ppml evaluates policies with: a slip that
// both had would go unseen.

type Comparable = string | number | boolean;
type Condition =
  | ({ readonly claim: string } & Partial<Readonly<Record<Operator, Comparable>>>)
  | { readonly anyOf: readonly Condition[] }
  | { readonly allOf: readonly Condition[] };
type Operator = (typeof OPERATORS)[number];

const OPERATORS = [
  "equals",
  "notEquals",
  "less",
  "lessOrEquals",
  "greater",
  "greaterOrEquals",
  "exists",
] as const;

const comparable = z.union([z.string(), z.number(), z.boolean()]);
const claimSchema = z
  .strictObject({
    claim: z.string().min(1),
    ...Object.fromEntries(OPERATORS.map((operator) => [operator, comparable.optional()])),
  })
  .refine((condition) => Object.keys(condition).length === 2, {
    error: "expected a claim and one operator",
  });
const conditionSchema: z.ZodType<Condition> = z.union([
  claimSchema,
  z.strictObject({ anyOf: z.lazy(() => z.array(conditionSchema).min(1)) }),
  z.strictObject({ allOf: z.lazy(() => z.array(conditionSchema).min(1)) }),
]);
const list = z.array(conditionSchema).min(1);
const policySchema = z.strictObject({
  version: z.literal("1.0.0"),
  anyOf: z
    .array(
      z.union([
        z.strictObject({ authority: z.url(), anyOf: list }),
        z.strictObject({ authority: z.url(), allOf: list }),
      ]),
    )
    .min(1),
});

/** A key's release policy. @see learn.microsoft.com/azure/key-vault/keys/policy-grammar */
export type ReleasePolicy = z.infer<typeof policySchema>;

/** Parses the JSON of a release policy. @throws KeyVaultRefusal */
export function parseReleasePolicy(bytes: Uint8Array): ReleasePolicy {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw badParameter("The key release policy is not valid JSON.");
  }
  const policy = policySchema.safeParse(value);
  if (policy.success) return policy.data;
  const [issue] = policy.error.issues;
  throw badParameter(
    `The key release policy is not valid at ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`,
  );
}

/** Whether what the authority says meets the policy. */
export function meetsPolicy(
  policy: ReleasePolicy,
  said: { readonly authority: string; readonly claims: Readonly<Record<string, unknown>> },
): boolean {
  return policy.anyOf.some((entry) => {
    if (entry.authority !== said.authority) return false;
    return "anyOf" in entry
      ? entry.anyOf.some((condition) => isMet(condition, said.claims))
      : entry.allOf.every((condition) => isMet(condition, said.claims));
  });
}

function isMet(condition: Condition, claims: Readonly<Record<string, unknown>>): boolean {
  if ("anyOf" in condition) return condition.anyOf.some((inner) => isMet(inner, claims));
  if ("allOf" in condition) return condition.allOf.every((inner) => isMet(inner, claims));
  let found: unknown = claims;
  for (const part of condition.claim.split("."))
    found =
      typeof found === "object" &&
      found !== null &&
      !Array.isArray(found) &&
      Object.hasOwn(found, part)
        ? Reflect.get(found, part)
        : undefined;
  // "If the claim is not there, the condition is not met"; arrays and objects are not compared.
  if (typeof found !== "string" && typeof found !== "number" && typeof found !== "boolean")
    return false;
  const operator = OPERATORS.find((name) => condition[name] !== undefined);
  if (operator === undefined) return false;
  return compare(operator, found, condition[operator]);
}

function compare(operator: Operator, found: Comparable, expected: Comparable | undefined): boolean {
  if (operator === "equals") return found === expected;
  if (operator === "notEquals") return found !== expected;
  if (operator === "exists") return expected === true || expected === "true";
  if (typeof found !== "number" || typeof expected !== "number") return false;
  if (operator === "less") return found < expected;
  if (operator === "lessOrEquals") return found <= expected;
  return operator === "greater" ? found > expected : found >= expected;
}
