import { PpmlError } from "../base/error.ts";
import type { KekKind } from "../format/kek.ts";
import type { NewKek } from "./vault.ts";

const NAME = /^[a-z0-9-]{1,63}$/;

/**
 * Refuses a new KEK that no vault makes: a name that is not `[a-z0-9][a-z0-9-]{0,62}`, another
 * purpose or size. Gives the same back.
 * @throws key.not_permitted
 */
export function checkNewKek(options: NewKek): NewKek {
  const { name, purpose = "", bits = 3072 } = options;
  // One that begins with a hyphen reads as a flag.
  if (!NAME.test(name) || name.startsWith("-"))
    throw new PpmlError(
      "key.not_permitted",
      `expected a KEK name of 1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen; came ${JSON.stringify(name.slice(0, 80))}`,
    );
  if (!/^[^\p{Cc}]{0,200}$/u.test(purpose))
    throw new PpmlError(
      "key.not_permitted",
      "expected a purpose of at most 200 characters without control characters",
    );
  if (bits !== 3072 && bits !== 4096)
    throw new PpmlError("key.not_permitted", `expected 3072 or 4096 bits; came ${String(bits)}`);
  return options;
}

/** Refuses to unwrap with an exportable KEK. @throws key.not_permitted */
export function refuseExportable(kind: KekKind, kekId: string): void {
  if (kind === "unwrap-only") return;
  throw new PpmlError(
    "key.not_permitted",
    `the KEK ${kekId} is exportable: it has no unwrap operation. Release it to a TEE by its release policy, or seal for an unwrap-only KEK`,
    { detail: { kekId } },
  );
}
