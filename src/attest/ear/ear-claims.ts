import type { Ear } from "./ear.ts";
import { tierOf, TRUST_CLAIMS } from "./tiers.ts";

/** What an EAR says in words, by claim: who made it in which form, and its statuses. */
export function earClaims(ear: Ear): Readonly<Record<string, string>> {
  const { profile, verifierId, status, submods } = ear;
  return {
    profile,
    verifier: `${verifierId.developer} ${verifierId.build}`,
    ...(status === null ? {} : { status }),
    ...Object.fromEntries(
      Object.entries(submods).map(([name, one]) => [`${name}.status`, one.status]),
    ),
  };
}

/**
 * The first status, or claim of a trustworthiness vector, by which a Verifier contraindicates an attester; null
 * where there is none. Beside the status `none`, which promises nothing, only the vector may say it.
 */
export function contraindicatedClaim({ status, submods }: Ear): string | null {
  if (status === "contraindicated") return "status";
  for (const [name, one] of Object.entries(submods)) {
    if (one.status === "contraindicated") return `${name}.status`;
    const claim = TRUST_CLAIMS.find((each) => tierOf(one.vector[each] ?? 0) === "contraindicated");
    if (claim !== undefined) return `${name}.${claim}`;
  }
  return null;
}
