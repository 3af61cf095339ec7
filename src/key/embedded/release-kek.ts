import { PpmlError } from "../../base/error.ts";
import type { Mode } from "../../format/kek.ts";
import { skrPolicyDigest } from "../../format/skr/release-key.ts";
import { parseSkrPolicy } from "../../format/skr/skr-policy.ts";
import type { SkrPolicy } from "../../format/skr/skr-policy.ts";
import type { KekRelease, NewKek } from "../vault.ts";
import { encodePolicy, MAX_POLICY_CHARS } from "./records.ts";

/**
 * The release policy of a new KEK as its row holds it; null for an unwrap-only one.
 * @throws key.not_permitted for an exportable KEK without one, or another kind with one
 *   release.policy where it is not in the grammar
 */
export function checkedPolicyOf({ kind, releasePolicy }: NewKek): string | null {
  if ((kind === "exportable") !== (releasePolicy !== undefined))
    throw new PpmlError(
      "key.not_permitted",
      "an exportable KEK has a release policy from its making, and an unwrap-only one has none: give both or neither",
    );
  if (releasePolicy === undefined) return null;
  const text = encodePolicy(parseSkrPolicy(releasePolicy));
  if (text.length <= MAX_POLICY_CHARS) return text;
  throw new PpmlError(
    "key.not_permitted",
    `expected a release policy of at most ${MAX_POLICY_CHARS} characters, came ${text.length}`,
  );
}

/**
 * Compares a decision with the KEK: its mode, and the very policy that the KEK was made with.
 * @throws key.not_permitted key.vault_mode
 */
export function checkKekRelease(
  decision: KekRelease,
  kek: { readonly mode: Mode; readonly policy: SkrPolicy | null },
): void {
  const { kekId } = decision;
  if (decision.mode !== kek.mode)
    throw new PpmlError(
      "key.vault_mode",
      `the release was decided for ${decision.mode}, the vault is for ${kek.mode}`,
    );
  if (kek.policy === null)
    throw new PpmlError("key.not_permitted", `the KEK ${kekId} is unwrap-only: it never leaves`, {
      detail: { kekId },
    });
  if (decision.policyDigest !== skrPolicyDigest(kek.policy))
    throw new PpmlError(
      "key.not_permitted",
      `the release of ${kekId} was decided by another policy than the KEK's own`,
      { detail: { kekId } },
    );
}
