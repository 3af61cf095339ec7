import type { TwinPrincipal } from "../service.ts";
import { RESOURCES, ROLE_ASSIGNMENTS } from "../state-kinds.ts";
import type { ResourceDocument } from "../state-kinds.ts";
import { requireAllowed } from "./authorize.ts";
import { idsIn } from "./check-body.ts";
import { keepDeleted } from "./names.ts";
import { ArmRefusal } from "./refusal.ts";
import { parseResourceId } from "./resource-id.ts";
import type { ResourceId } from "./resource-id.ts";
import { changeOf, failByFault } from "./resources.ts";
import { INPUTS, READY_TIMES } from "./state-kinds.ts";
import { typeSpec } from "./type-table.ts";
import type { ArmContext } from "./type-spec.ts";
import { retentionDays } from "./types/key-vaults.ts";

/** What Azure says of a thing that another still uses, by its type in small letters. */
const IN_USE: Readonly<Record<string, string>> = {
  "microsoft.network/virtualnetworks": "InUseSubnetCannotBeDeleted",
  "microsoft.network/networksecuritygroups": "InUseNetworkSecurityGroupCannotBeDeleted",
  "microsoft.network/publicipaddresses": "PublicIPAddressCannotBeDeleted",
  "microsoft.network/natgateways": "InUseNatGatewayCannotBeDeleted",
  "microsoft.network/networkinterfaces": "NicInUse",
};

/**
 * Deletes a resource with its children and what extends it; a vault is kept for its retention. False
 * where there is none. @throws ArmRefusal where it may not be, or is in use
 */
export async function deleteResource(
  context: ArmContext,
  request: { readonly id: ResourceId; readonly principal: TwinPrincipal },
): Promise<boolean> {
  const { id, principal } = request;
  const document = context.state.get(RESOURCES, id.key);
  requireAllowed(context, principal, {
    action: `${document?.type ?? id.type}/delete`,
    scope: id.id,
  });
  if (document === null) return false;
  failByFault(context, "DELETE", id);
  const user = userOf(context, id.key);
  const code = IN_USE[id.type.toLowerCase()];
  if (code !== undefined && user !== null)
    throw new ArmRefusal(409, code, {
      message: `${id.type.split("/").at(-1) ?? ""} ${id.name} is in use by ${user} and cannot be deleted.`,
    });
  await removeAll(context, [id.key]);
  return true;
}

/**
 * Takes resources away, whatever uses them, in the order that is given; children and extensions go
 * first. @throws what a service of the double throws
 */
export async function removeAll(context: ArmContext, keys: readonly string[]): Promise<void> {
  const { state } = context;
  for (const key of keys) {
    const below = state.list(RESOURCES, { prefix: `${key}/` }).map(({ document }) => document);
    const document = state.get(RESOURCES, key);
    const all = [...below.toReversed(), ...(document === null ? [] : [document])];
    for (const one of all) await context.notify(changeOf(one, "delete"));
    state.transaction(() => {
      for (const one of all) remove(context, one);
      for (const { id } of state.list(ROLE_ASSIGNMENTS, { prefix: `${key}/` }))
        state.remove(ROLE_ASSIGNMENTS, id);
    });
  }
}

/** Another resource that names this one, or a part of it; null where none does. */
function userOf({ state }: ArmContext, key: string): string | null {
  for (const { id, document } of state.list(INPUTS)) {
    if (id === key || id.startsWith(`${key}/`) || state.get(RESOURCES, id) === null) continue;
    const names = idsIn(document.body).map((text) => text.toLowerCase());
    if (names.some((name) => name === key || name.startsWith(`${key}/`)))
      return parseResourceId(id)?.id ?? id;
  }
  return null;
}

function remove(context: ArmContext, document: ResourceDocument): void {
  const { state } = context;
  const key = document.id.toLowerCase();
  const spec = typeSpec(document.type);
  if (spec?.isSoftDeleted === true) keepDeleted(context, key, retentionDays(document.properties));
  spec?.onDelete?.(document, context);
  state.remove(RESOURCES, key);
  state.remove(INPUTS, key);
  state.remove(READY_TIMES, key);
}
