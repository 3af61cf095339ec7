import { z } from "zod";
import { PpmlError } from "../../base/index.ts";
import { nameSchema } from "../../format/schema.ts";
import { referencesSchema } from "./rules.ts";
import type { ReferenceSet } from "./rules.ts";

/**
 * A file of Reference Values, as its owner signs it (kind `reference-values`): the workloads that
 * policies may accept, each a set of values that count together. `version` only ever rises.
 * @see RFC 9334 section 2.2 "Reference Values"; docs/appraisal.md section "Reference values"
 */
export const referenceValuesSchema = z.strictObject({
  v: z.literal(1),
  name: nameSchema,
  version: z.int().min(1),
  sets: referencesSchema,
});
export type ReferenceValues = z.infer<typeof referenceValuesSchema>;

const linkSchema = z.strictObject({ file: z.string().min(1).max(1000) });

/** Path of the file that an appraisal policy takes its reference sets from; null where it has its own. */
export function referenceFileOf(appraisal: unknown): string | null {
  if (typeof appraisal !== "object" || appraisal === null || !("references" in appraisal))
    return null;
  const link = linkSchema.safeParse(appraisal.references);
  return link.success ? link.data.file : null;
}

/**
 * Puts the sets of a verified file in the place of the link to it: what is then signed and applied
 * names every value itself.
 * @throws release.policy where the policy has no such link
 */
export function withReferences(appraisal: unknown, values: ReferenceValues): unknown {
  if (referenceFileOf(appraisal) === null)
    throw new PpmlError("release.policy", "the policy's references do not name a file");
  return { ...Object(appraisal), references: values.sets };
}

/**
 * Adds, promotes or expires a set, giving the next version to sign.
 * @throws release.policy where the label is there already, or is not
 */
export function changeReferences(
  values: ReferenceValues,
  change:
    | { readonly kind: "stage"; readonly set: ReferenceValues["sets"][number] }
    | { readonly kind: "promote"; readonly label: string }
    | { readonly kind: "expire"; readonly label: string; readonly expiresAt: string }
    | { readonly kind: "remove"; readonly label: string },
): ReferenceValues {
  const { sets } = values;
  const next = { ...values, version: values.version + 1 };
  if (change.kind === "stage") {
    if (sets.some(({ label }) => label === change.set.label))
      throw new PpmlError(
        "release.policy",
        `${values.name} has a set "${change.set.label}" already: take another label, or remove that one first`,
      );
    return { ...next, sets: [...sets, { ...change.set, state: "staged" }] };
  }
  const index = sets.findIndex(({ label }) => label === change.label);
  const found = sets[index];
  if (found === undefined)
    throw new PpmlError(
      "release.policy",
      `${values.name} has no set "${change.label}"; it has ${sets.map(({ label }) => JSON.stringify(label)).join(", ") || "none"}`,
    );
  if (change.kind === "remove") return { ...next, sets: sets.toSpliced(index, 1) };
  const changed: ReferenceSet =
    change.kind === "promote"
      ? { ...found, state: "accepted" }
      : { ...found, expiresAt: change.expiresAt };
  return { ...next, sets: sets.with(index, changed) };
}
