import { KEYS, SECRETS } from "../keyvault/documents.ts";
import { RESOURCES } from "../state-kinds.ts";
import type { ResourceDocument } from "../state-kinds.ts";
import type { TwinState } from "../state.ts";
import type { ResourceId } from "./resource-id.ts";

const TYPE = /^microsoft\.keyvault\/(?:vaults\/(?:keys|secrets)|managedhsms\/keys)$/i;

/** Whether an id is that of a key or a secret of a vault or a Managed HSM, which the data plane has or has not. */
export function isVaultObject({ type }: ResourceId): boolean {
  return TYPE.test(type);
}

/**
 * A key or secret as ARM gives it, whether ARM or the data plane made it; null where the vault does not
 * have it, or has deleted it. A secret's value is never in it.
 */
export function vaultObject(state: TwinState, id: ResourceId): ResourceDocument | null {
  const isHsm = /\/managedhsms\//i.test(id.type);
  const collection = /\/keys$/i.test(id.type) ? "keys" : "secrets";
  const [vault = "", name = ""] = id.name.split("/");
  const host = `${vault}.${isHsm ? "managedhsm" : "vault"}.azure.net`.toLowerCase();
  const key = `${host}/${name.toLowerCase()}`;
  const found = collection === "keys" ? state.get(KEYS, key) : state.get(SECRETS, key);
  const isOfVault = state.get(RESOURCES, id.parent?.toLowerCase() ?? "") !== null;
  if (found === null || found.deleted !== null || !isOfVault) return null;
  const current = found.versions.at(-1);
  const uri = `https://${host}/${collection}/${found.name}`;
  const what = collection === "keys" ? "keyUri" : "secretUri";
  return (
    state.get(RESOURCES, id.key) ?? {
      id: id.id,
      name: found.name,
      type: `Microsoft.KeyVault/${isHsm ? "managedHSMs" : "vaults"}/${collection}`,
      properties: {
        attributes: {
          enabled: current?.enabled ?? false,
          created: current?.created ?? 0,
          updated: current?.updated ?? 0,
        },
        [what]: uri,
        [`${what}WithVersion`]: `${uri}/${current?.version ?? ""}`,
      },
    }
  );
}
