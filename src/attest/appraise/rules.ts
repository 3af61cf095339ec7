import { z } from "zod";
import type { ClaimOutcome } from "../../format/attestation-result.ts";

const MAX_VALUES = 100;
const MAX_TEXT = 1000;

/** The policy does not look at the claim: it has to say so in this word. */
export const anySchema = z.literal("any");

/** Rule for bytes: one value, or one of several; hex of exactly `length` bytes. */
export function bytesRuleSchema(length: number): z.ZodType<BytesRule> {
  const hex = z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${2 * length}}$`), `expected ${length} bytes in lower-case hex`);
  return z.union([
    z.strictObject({ equals: hex }),
    z.strictObject({ oneOf: z.array(hex).min(1).max(MAX_VALUES) }),
  ]);
}

/** Rule for an unsigned number of 32 bits. */
export const numberRuleSchema = z.union([
  z.strictObject({ equals: z.int().min(0).max(0xffffffff) }),
  z.strictObject({ oneOf: z.array(z.int().min(0).max(0xffffffff)).min(1).max(MAX_VALUES) }),
  z.strictObject({ atLeast: z.int().min(0).max(0xffffffff) }),
]);

/** Rule for a yes or no. */
export const flagRuleSchema = z.strictObject({ equals: z.boolean() });

export type BytesRule = { readonly equals: string } | { readonly oneOf: readonly string[] };
export type NumberRule = z.infer<typeof numberRuleSchema>;
export type FlagRule = z.infer<typeof flagRuleSchema>;
export type Rule = BytesRule | NumberRule | FlagRule | "any";
export type ClaimValue = string | number | boolean;

/** Compares one claim with its rule; `remedy` is what to do where it is not met. */
export function checkClaim(options: {
  readonly claim: string;
  readonly rule: Rule;
  readonly actual: ClaimValue;
  readonly remedy: string;
}): ClaimOutcome {
  const { claim, rule, actual } = options;
  const outcome = rule === "any" ? "not-checked" : satisfies(rule, actual) ? "met" : "not-met";
  return {
    claim,
    outcome,
    expected: describeRule(rule),
    actual,
    remedy: outcome === "not-met" ? options.remedy : null,
  };
}

function satisfies(rule: Exclude<Rule, "any">, actual: ClaimValue): boolean {
  if ("equals" in rule) return rule.equals === actual;
  if ("oneOf" in rule) return rule.oneOf.some((value: string | number) => value === actual);
  return typeof actual === "number" && actual >= rule.atLeast;
}

function describeRule(rule: Rule): ClaimValue {
  if (rule === "any") return "any";
  if ("equals" in rule) return rule.equals;
  if ("atLeast" in rule) return `at least ${rule.atLeast}`;
  const text = rule.oneOf.join(", ");
  const shown = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text;
  return rule.oneOf.length === 1 ? shown : `one of ${shown}`;
}
