import type { Evidence } from "../evidence/evidence.ts";
import { valuesOf } from "./claims-of.ts";
import { listRules } from "./policy.ts";
import type { AppraisalPolicy } from "./policy.ts";
import { remedyOf } from "./remedies.ts";
import type { ClaimValue, Rule } from "./rules.ts";

/** A claim by which the TEE does not keep its host out, whatever else is true of it. */
export type BaselineRefusal = {
  readonly claim: string;
  readonly actual: string | number | boolean;
  readonly remedy: string;
};

/** What each claim, where there is one, has to be for a TEE to be one. */
const BASELINE: readonly (readonly [claim: string, good: (value: ClaimValue) => boolean])[] = [
  ["debug", (value) => value === false],
  ["profiling", (value) => value === false],
  ["migratable", (value) => value === false],
  ["migrationAllowed", (value) => value === false],
  ["septVeDisable", (value) => value === true],
  ["mrServiceTd", (value) => typeof value === "string" && /^0*$/.test(value)],
];

/**
 * What is wrong with verified Evidence where no policy says otherwise: a TEE that its host may debug,
 * profile or move, or interrupt at will, proves nothing about who reads its memory. Null: nothing.
 * These are the defaults of Intel's own and of other verifiers for TDX, and for all kinds alike here.
 */
export function baselineRefusal(evidence: Evidence): BaselineRefusal | null {
  const values = valuesOf(evidence);
  for (const [claim, isGood] of BASELINE) {
    const value = Object.hasOwn(values, claim) ? (values[claim] ?? null) : null;
    if (value === null || typeof value === "object" || isGood(value)) continue;
    return { claim, actual: value, remedy: remedyOf(claim) };
  }
  return null;
}

/** The claims of the baseline, but for `debug`, of which a policy accepts a value that falls below it. */
export function unprotectedClaims(policy: AppraisalPolicy): string[] {
  const rules = new Map(listRules(policy));
  return BASELINE.flatMap(([claim, isGood]) => {
    const rule = rules.get(claim);
    return claim === "debug" || rule === undefined || demands(rule, isGood) ? [] : [claim];
  });
}

function demands(rule: Rule, isGood: (value: ClaimValue) => boolean): boolean {
  // The values of a reference set were taken from a TEE that somebody looked at.
  if (rule === "reference") return true;
  if (rule === "any" || "atLeast" in rule || "only" in rule) return false;
  return "equals" in rule ? isGood(rule.equals) : rule.oneOf.every(isGood);
}
