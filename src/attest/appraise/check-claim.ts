import type { ClaimOutcome } from "../../format/attestation-result.ts";
import { chooseReference, expectedOf, refusalOf } from "./references.ts";
import type { ReferenceChoice } from "./references.ts";
import { remedyOf } from "./remedies.ts";
import type { ClaimValue, ReferenceSet, Rule } from "./rules.ts";

const MAX_TEXT = 1000;

/**
 * Compares every claim of a policy with its rule: one outcome a claim, in the policy's order.
 * `nowMs`: milliseconds since 1970, for reference sets that expire.
 */
export function checkClaims(options: {
  readonly claims: Readonly<Record<string, readonly [Rule, ClaimValue]>>;
  readonly references: readonly ReferenceSet[];
  readonly nowMs: number;
}): ClaimOutcome[] {
  const entries = Object.entries(options.claims);
  const actual = new Map(entries.map(([claim, [, value]]) => [claim, value]));
  const choice = chooseReference({
    references: options.references,
    actual,
    nowMs: options.nowMs,
  });
  return entries.map(([claim, [rule, value]]) =>
    rule === "reference"
      ? checkReference(claim, value, choice)
      : checkClaim({ claim, rule, actual: value }),
  );
}

/** Compares one claim with its rule. */
export function checkClaim(options: {
  readonly claim: string;
  readonly rule: Exclude<Rule, "reference">;
  readonly actual: ClaimValue;
}): ClaimOutcome {
  const { claim, rule, actual } = options;
  return outcomeOf({
    claim,
    outcome:
      rule === "any"
        ? "not-checked"
        : actual === null
          ? "missing"
          : satisfies(rule, actual)
            ? "met"
            : "not-met",
    expected: describeRule(rule),
    actual,
    remedy: remedyOf(claim),
  });
}

function checkReference(claim: string, actual: ClaimValue, choice: ReferenceChoice): ClaimOutcome {
  const expected = expectedOf(choice, claim);
  const refusal = refusalOf(choice);
  const isSame = expected !== null && expected === actual;
  return outcomeOf({
    claim,
    outcome: actual === null ? "missing" : isSame && refusal === null ? "met" : "not-met",
    // The value alone would read as if it were not the one that came.
    expected:
      isSame && refusal !== null
        ? `${expected} in one accepted reference set`
        : (expected ?? "a value of a reference set"),
    actual,
    remedy: isSame && refusal !== null ? refusal : remedyOf(claim),
  });
}

function outcomeOf(found: {
  readonly claim: string;
  readonly outcome: ClaimOutcome["outcome"];
  readonly expected: string | number | boolean;
  readonly actual: ClaimValue;
  readonly remedy: string;
}): ClaimOutcome {
  const { outcome, actual, remedy } = found;
  const isRefused = outcome === "not-met" || outcome === "missing";
  return {
    claim: found.claim,
    outcome,
    expected: found.expected,
    actual: typeof actual === "object" && actual !== null ? listOf(actual) : actual,
    remedy: isRefused ? remedy : null,
  };
}

function satisfies(
  rule: Exclude<Rule, "any" | "reference">,
  actual: NonNullable<ClaimValue>,
): boolean {
  if ("only" in rule)
    return typeof actual === "object" && actual.every((item) => rule.only.includes(item));
  if (typeof actual === "object") return false;
  if ("equals" in rule) return rule.equals === actual;
  if ("oneOf" in rule) return rule.oneOf.some((value) => value === actual);
  return typeof actual === "number" && actual >= rule.atLeast;
}

function describeRule(rule: Exclude<Rule, "reference">): string | number | boolean {
  if (rule === "any") return "any";
  if ("equals" in rule) return rule.equals;
  if ("atLeast" in rule) return `at least ${rule.atLeast}`;
  if ("only" in rule) return rule.only.length === 0 ? "none" : `none but ${listOf(rule.only)}`;
  return rule.oneOf.length === 1 ? listOf(rule.oneOf) : `one of ${listOf(rule.oneOf)}`;
}

function listOf(values: readonly (string | number)[]): string {
  if (values.length === 0) return "none";
  const text = values.join(", ");
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text;
}
