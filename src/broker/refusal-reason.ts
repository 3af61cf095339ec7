import type { PpmlError } from "../base/index.ts";
import type { ReleasePredicate } from "../format/receipt.ts";

const MAX_LENGTH = 2000;

/**
 * A refusal's code and reason for its entry in the log, or for who asked. The reason may quote what was sent,
 * half a surrogate pair as well, and be cut in the middle of one: that has no canonical form, and there would
 * be no entry.
 */
export function refusalReason({
  code,
  message,
}: Pick<PpmlError, "code" | "message">): NonNullable<ReleasePredicate["refusal"]> {
  return { code, message: message.slice(0, MAX_LENGTH).toWellFormed() };
}
