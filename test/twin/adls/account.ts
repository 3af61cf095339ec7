import { RESOURCES, ROLE_ASSIGNMENTS } from "../../../src/twin/state-kinds.ts";
import type { Twin } from "../../../src/twin/start.ts";

/** Puts a storage account into a twin's state, as ARM does when one is deployed; gives its ARM id. */
export function makeAccount(
  twin: Pick<Twin, "base" | "subscriptionId">,
  options: { readonly account: string; readonly sharedKey: boolean },
): string {
  const { account: name } = options;
  const type = "Microsoft.Storage/storageAccounts";
  const id = `/subscriptions/${twin.subscriptionId}/resourceGroups/rg/providers/${type}/${name}`;
  const properties = { isHnsEnabled: true, allowSharedKeyAccess: options.sharedKey };
  const { state } = twin.base;
  state.put(RESOURCES, id.toLowerCase(), { id, name, type, properties });
  const owner = state.list(ROLE_ASSIGNMENTS)[0]?.document;
  if (owner !== undefined)
    state.put(ROLE_ASSIGNMENTS, `${id}/data-owner`.toLowerCase(), {
      ...owner,
      id: `${id}/data-owner`,
      scope: id,
      roleDefinitionId: `/providers/Microsoft.Authorization/roleDefinitions/${DATA_OWNER}`,
    });
  return id;
}

/** Storage Blob Data Owner. */
const DATA_OWNER = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b";

/** Takes all role assignments away, until they are put back. */
export function takeRoles(twin: Pick<Twin, "base">): { readonly restore: () => void } {
  const { state } = twin.base;
  const all = state.list(ROLE_ASSIGNMENTS);
  for (const { id } of all) state.remove(ROLE_ASSIGNMENTS, id);
  return {
    restore: () => {
      for (const { id, document } of all) state.put(ROLE_ASSIGNMENTS, id, document);
    },
  };
}
