import { toHex } from "../../base/index.ts";
import { boundData } from "../appraise/binding.ts";
import { kindOf, valuesOf } from "../appraise/claims-of.ts";
import type { ClaimValue } from "../appraise/rules.ts";
import type { Evidence } from "../evidence/evidence.ts";

/** One claim in which two pieces of Evidence differ; null where one does not have it. */
export type ClaimDifference = {
  readonly claim: string;
  readonly a: ClaimValue;
  readonly b: ClaimValue;
};

/** The claims in which two pieces of Evidence differ, their kinds and what they bind included. */
export function diffEvidence(a: Evidence, b: Evidence): ClaimDifference[] {
  const [left, right] = [claimsOf(a), claimsOf(b)];
  const claims = new Set([...left.keys(), ...right.keys()]);
  return [...claims].flatMap((claim) => {
    const pair = { claim, a: left.get(claim) ?? null, b: right.get(claim) ?? null };
    return String(pair.a) === String(pair.b) ? [] : [pair];
  });
}

function claimsOf(evidence: Evidence): ReadonlyMap<string, ClaimValue> {
  return new Map<string, ClaimValue>([
    ["tee", kindOf(evidence)],
    ...Object.entries(valuesOf(evidence)),
    ["reportData", toHex(boundData(evidence))],
  ]);
}
