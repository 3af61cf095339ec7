import { unreachable } from "../../base/index.ts";
import { operatorOf } from "../../format/skr/skr-policy.ts";
import type {
  SkrClaimCondition,
  SkrCondition,
  SkrOperator,
  SkrPolicy,
  SkrValue,
} from "../../format/skr/skr-policy.ts";

/** What an authority says: JSON data, as the payload of its token. */
export type Claims = Readonly<Record<string, unknown>>;

/** What was found for one condition on one claim. */
export type SkrOutcome = {
  /** Where the condition stands in the policy, such as `anyOf[0].allOf[2]`. */
  readonly path: string;
  readonly claim: string;
  readonly operator: SkrOperator;
  readonly expected: SkrValue;
  /** The claim's value; null where it is missing or not a string, number or boolean. */
  readonly actual: SkrValue | null;
  readonly met: boolean;
  /** Why a condition is not met in spite of its look; null where the values say it. */
  readonly reason: string | null;
};

/** Whether the policy is met, and one outcome a condition of the authority's entries. */
export type SkrResult = {
  readonly met: boolean;
  /** False where the policy does not name the authority at all: then there are no outcomes. */
  readonly authorityNamed: boolean;
  readonly outcomes: readonly SkrOutcome[];
};

type Found =
  | { readonly kind: "value"; readonly value: SkrValue }
  | { readonly kind: "none"; readonly reason: string };

/**
 * Evaluates a Secure Key Release policy over what `authority` claims. Where the grammar's sources
 * differ, a condition is met only where every reading meets it (docs/policy.md).
 * @see Azure Key Vault secure key release policy grammar, "Claim condition"
 */
export function evaluateSkr(
  policy: SkrPolicy,
  said: { readonly authority: string; readonly claims: Claims },
): SkrResult {
  const outcomes: SkrOutcome[] = [];
  let met = false;
  let authorityNamed = false;
  for (const [index, entry] of policy.anyOf.entries()) {
    if (entry.authority !== said.authority) continue;
    authorityNamed = true;
    const { authority: _, ...condition } = entry;
    if (evaluate(condition, { path: `anyOf[${index}]`, claims: said.claims, outcomes })) met = true;
  }
  return { met, authorityNamed, outcomes };
}

type Walk = {
  readonly path: string;
  readonly claims: Claims;
  readonly outcomes: SkrOutcome[];
};

function evaluate(condition: SkrCondition, walk: Walk): boolean {
  if ("claim" in condition) {
    const outcome = evaluateClaim(condition, walk);
    walk.outcomes.push(outcome);
    return outcome.met;
  }
  // No short cut: the explanation wants every outcome.
  const kind = "anyOf" in condition ? "anyOf" : "allOf";
  const list = "anyOf" in condition ? condition.anyOf : condition.allOf;
  let metCount = 0;
  for (const [index, item] of list.entries())
    if (evaluate(item, { ...walk, path: `${walk.path}.${kind}[${index}]` })) metCount += 1;
  return kind === "anyOf" ? metCount > 0 : metCount === list.length;
}

function evaluateClaim(condition: SkrClaimCondition, walk: Walk): SkrOutcome {
  const { operator, expected } = operatorOf(condition);
  const found = find(walk.claims, condition.claim);
  const base = { path: walk.path, claim: condition.claim, operator, expected };
  if (found.kind === "none") return { ...base, actual: null, met: false, reason: found.reason };
  const reason = compare(operator, expected, found.value);
  return {
    ...base,
    actual: found.value,
    met: reason === "",
    reason: reason === "" ? null : reason,
  };
}

/** Says why the comparison fails; empty where it holds. */
function compare(operator: SkrOperator, expected: SkrValue, actual: SkrValue): string {
  switch (operator) {
    case "exists":
      return expected === true ? "" : "a claim that is there does not meet exists: false";
    case "equals":
      if (typeof expected !== typeof actual) return typesDiffer(expected, actual);
      return expected === actual ? "" : "the values differ";
    case "notEquals":
      // Other types would differ under every value: a policy that mixes them is a slip.
      if (typeof expected !== typeof actual) return typesDiffer(expected, actual);
      return sameInAnyCase(expected, actual) ? "the values are the same" : "";
    case "less":
    case "lessOrEquals":
    case "greater":
    case "greaterOrEquals":
      if (typeof actual !== "number" || typeof expected !== "number")
        return typesDiffer(expected, actual);
      return ordered(operator, actual, expected) ? "" : "the number is out of range";
    default:
      return unreachable(operator);
  }
}

function ordered(
  operator: "less" | "lessOrEquals" | "greater" | "greaterOrEquals",
  actual: number,
  expected: number,
): boolean {
  if (operator === "less") return actual < expected;
  if (operator === "lessOrEquals") return actual <= expected;
  return operator === "greater" ? actual > expected : actual >= expected;
}

/** Azure Policy's `notEquals` ignores case, JSON's comparison does not: both have to differ. */
function sameInAnyCase(a: SkrValue, b: SkrValue): boolean {
  if (typeof a === "string" && typeof b === "string")
    return a.toLowerCase() === b.toLowerCase() || a.toUpperCase() === b.toUpperCase();
  return a === b;
}

function typesDiffer(expected: SkrValue, actual: SkrValue): string {
  return `expected a ${typeof expected}, the claim is a ${typeof actual}`;
}

function find(claims: Claims, path: string): Found {
  const readings = readAll(claims, path.split("."));
  const byNavigation = readings.find((reading) => !reading.dotted);
  if (readings.length > 1)
    return { kind: "none", reason: "the path has two readings: a claim's own name has a dot" };
  if (byNavigation === undefined)
    return {
      kind: "none",
      reason:
        readings.length === 0
          ? "the claim is missing"
          : "the claim's own name has a dot, which a path cannot name",
    };
  const { value } = byNavigation;
  if (typeof value === "string" || typeof value === "boolean") return { kind: "value", value };
  if (typeof value === "number" && Number.isFinite(value)) return { kind: "value", value };
  if (value === null) return { kind: "none", reason: "the claim is null" };
  const what = Array.isArray(value) ? "an array" : `an ${typeof value}`;
  return { kind: "none", reason: `the claim is ${what}, which the grammar does not compare` };
}

type Reading = { readonly value: unknown; readonly dotted: boolean };

/** Every way to read a dotted path, also those that take a dot as part of a member's name. */
function readAll(value: unknown, parts: readonly string[]): Reading[] {
  if (parts.length === 0) return [{ value, dotted: false }];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  const readings: Reading[] = [];
  for (let count = 1; count <= parts.length; count += 1) {
    const name = parts.slice(0, count).join(".");
    if (!Object.hasOwn(value, name)) continue;
    const member: unknown = Reflect.get(value, name);
    for (const reading of readAll(member, parts.slice(count)))
      readings.push({ value: reading.value, dotted: reading.dotted || count > 1 });
  }
  return readings;
}
