import { PpmlError } from "../../base/error.ts";

const NAME = /^[a-z0-9-]{1,63}$/;

/** The id of a KEK of an embedded vault: `embedded:VAULT-ID/NAME`. */
export function embeddedKekId(vaultId: string, name: string): string {
  return `embedded:${vaultId}/${name}`;
}

/** Refuses a new KEK's name that is not `[a-z0-9][a-z0-9-]{0,62}`. @throws key.not_permitted */
export function checkKekName(name: string): void {
  // One that begins with a hyphen reads as a flag.
  if (!NAME.test(name) || name.startsWith("-"))
    throw new PpmlError(
      "key.not_permitted",
      `expected a KEK name of 1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen; came ${JSON.stringify(name.slice(0, 80))}`,
    );
}

/** The name in a KEK id of this vault. @throws key.not_found where the id is of another vault or form */
export function nameOfKekId(vaultId: string, kekId: string): string {
  const prefix = embeddedKekId(vaultId, "");
  const name = kekId.slice(prefix.length);
  if (kekId.startsWith(prefix) && NAME.test(name)) return name;
  throw new PpmlError(
    "key.not_found",
    `expected a KEK id of this vault, ${prefix}NAME; came ${kekId.slice(0, 200)}: open the vault that it names`,
    { detail: { kekId, vaultId } },
  );
}
