import { PpmlError } from "../../base/error.ts";
import type { Mode } from "../../format/kek.ts";

const HOST =
  /^[a-z][a-z0-9-]{1,22}[a-z0-9]\.(?:vault|managedhsm)\.(?:azure\.net|azure\.cn|usgovcloudapi\.net)$/;
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** What the name of a simulation's key begins with: a key cannot be renamed, so its mode stays. */
const SIMULATION_PREFIX = "sim-";

/**
 * The host of a Key Vault or Managed HSM.
 * @throws key.vault_missing for a URL that is not `https://NAME.vault.azure.net` or of that form
 */
export function vaultHostOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const host = parsed?.hostname ?? "";
  if (parsed?.protocol === "https:" && parsed.origin === url.replace(/\/$/, "") && HOST.test(host))
    return host;
  throw new PpmlError(
    "key.vault_missing",
    `expected a vault as https://NAME.vault.azure.net or https://NAME.managedhsm.azure.net, came ${url.slice(0, 200)}: correct vault.url in ppml.yaml`,
  );
}

/** The name of a KEK's key in Key Vault. @throws key.not_permitted for a production name that begins with `sim-` */
export function keyNameOf(mode: Mode, name: string): string {
  if (mode === "simulation") return `${SIMULATION_PREFIX}${name}`;
  if (!name.startsWith(SIMULATION_PREFIX)) return name;
  throw new PpmlError(
    "key.not_permitted",
    `names that begin with ${SIMULATION_PREFIX} are those of simulations, came ${name}: choose another`,
  );
}

/** The KEK's name of a key of this mode; null for a key of the other mode, or none of a KEK's form. */
export function kekNameOf(mode: Mode, keyName: string): string | null {
  const isSimulated = keyName.startsWith(SIMULATION_PREFIX);
  if (isSimulated !== (mode === "simulation")) return null;
  const name = isSimulated ? keyName.slice(SIMULATION_PREFIX.length) : keyName;
  return NAME.test(name) ? name : null;
}

/** A KEK's id: the key's URL without a version. */
export function azureKekId(host: string, keyName: string): string {
  return `https://${host}/keys/${keyName}`;
}

/**
 * The key's name in a KEK id of this vault and mode.
 * @throws key.not_found where the id is of another vault or form
 *   key.vault_mode where the key is one of the other mode
 */
export function keyNameOfKekId(
  vault: { readonly host: string; readonly mode: Mode },
  kekId: string,
): string {
  const { host, mode } = vault;
  const prefix = azureKekId(host, "");
  const keyName = kekId.startsWith(prefix) ? kekId.slice(prefix.length) : "";
  if (kekNameOf(mode, keyName) !== null) return keyName;
  const other = mode === "simulation" ? "production" : "simulation";
  if (kekNameOf(other, keyName) !== null)
    throw new PpmlError(
      "key.vault_mode",
      `the KEK ${kekId.slice(0, 200)} is one for ${other}, and this vault is open for ${mode}: its name says so for ever`,
      { detail: { kekId } },
    );
  throw new PpmlError(
    "key.not_found",
    `expected a KEK id of this vault, ${prefix}NAME; came ${kekId.slice(0, 200)}: open the vault that it names`,
    { detail: { kekId, vaultId: host } },
  );
}
