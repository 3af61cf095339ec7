import { PpmlError } from "../../base/error.ts";

const NAME = /^[a-z0-9-]{1,63}$/;

/** The id of a KEK of an embedded vault: `embedded:VAULT-ID/NAME`. */
export function embeddedKekId(vaultId: string, name: string): string {
  return `embedded:${vaultId}/${name}`;
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
