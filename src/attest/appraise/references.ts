import { fromTimestamp } from "../../base/index.ts";
import type { ClaimValue, ReferenceSet } from "./rules.ts";

/** The reference set that Evidence was compared with, and whether it may be accepted. */
export type ReferenceChoice = {
  /** Null where a policy has no sets. */
  readonly set: ReferenceSet | null;
  readonly isWhole: boolean;
  readonly isExpired: boolean;
};

/**
 * Chooses the set to compare with: an accepted one that fits in every value, otherwise a staged or
 * expired one that does, otherwise the one that fits best, for the explanation. Values of two sets
 * never count together.
 */
export function chooseReference(options: {
  readonly references: readonly ReferenceSet[];
  readonly actual: ReadonlyMap<string, ClaimValue>;
  readonly nowMs: number;
}): ReferenceChoice {
  const { references, actual, nowMs } = options;
  const judged = references.map((set) => {
    const values = Object.entries(set.values);
    const fitting = values.filter(([claim, value]) => actual.get(claim) === value).length;
    const isExpired = set.expiresAt !== null && !(nowMs <= fromTimestamp(set.expiresAt));
    return { set, fitting, isWhole: fitting === values.length, isExpired };
  });
  const usable = ({ set, isExpired }: (typeof judged)[number]): boolean =>
    set.state === "accepted" && !isExpired;
  const rank = (one: (typeof judged)[number]): number =>
    one.fitting + (one.isWhole ? 1000 : 0) + (usable(one) ? (one.isWhole ? 1000 : 0.5) : 0);
  const best = judged.reduce<(typeof judged)[number] | null>(
    (found, one) => (found === null || rank(one) > rank(found) ? one : found),
    null,
  );
  return best ?? { set: null, isWhole: false, isExpired: false };
}

/** What the chosen set says of a claim; null where it does not name it. */
export function expectedOf(choice: ReferenceChoice, claim: string): string | number | null {
  const { set } = choice;
  return set !== null && Object.hasOwn(set.values, claim) ? (set.values[claim] ?? null) : null;
}

/** Why the chosen set accepts nothing although values are equal, with the remedy; null where it does. */
export function refusalOf(choice: ReferenceChoice): string | null {
  const { set, isWhole, isExpired } = choice;
  if (set === null) return "The policy has no reference set: add one and apply the policy.";
  if (!isWhole)
    return `Not every value is that of the reference set "${set.label}": values of two sets do not count together.`;
  if (set.state === "staged")
    return `The reference set "${set.label}" is staged, not accepted: promote it and apply the policy.`;
  if (isExpired)
    return `The reference set "${set.label}" expired ${set.expiresAt ?? ""}: deploy a newer image, or give the set a later expiry.`;
  return null;
}
