import { PpmlError } from "../../base/index.ts";
import { parseSkrPolicy } from "../../format/skr/skr-policy.ts";
import type { SkrPolicy, SkrValue } from "../../format/skr/skr-policy.ts";

/** MAA's old names for claims that have newer ones: accepted on reading, never written. */
export const DEPRECATED_CLAIMS: ReadonlySet<string> = new Set([
  "aas-ehd",
  "is-debuggable",
  "maa-attestationcollateral",
  "maa-ehd",
  "product-id",
  "sgx-mrenclave",
  "sgx-mrsigner",
  "svn",
  "tee",
]);

/**
 * Makes a flat, equals-only policy: one entry for each authority (issuer URL) and each accepted
 * set of claims (dotted path to value). Both lists need at least one element.
 * @throws release.policy for a deprecated claim, an empty list, or what the grammar does not hold
 * @see Azure confidential computing, "Secure Key Release policy examples": flat policies only
 */
export function emitSkrPolicy(options: {
  readonly authorities: readonly string[];
  readonly accepted: readonly Readonly<Record<string, SkrValue>>[];
}): SkrPolicy {
  const entries = options.authorities.flatMap((authority) =>
    options.accepted.map((claims) => ({
      authority,
      allOf: Object.entries(claims).map(([claim, equals]) => {
        if (DEPRECATED_CLAIMS.has(claim))
          throw new PpmlError(
            "release.policy",
            `the claim ${claim} is deprecated: use its newer name, x-ms-sgx-... or another of docs/policy.md`,
          );
        return { claim, equals };
      }),
    })),
  );
  return parseSkrPolicy({ version: "1.0.0", anyOf: entries });
}
