import { randomUUID } from "node:crypto";
import { z } from "zod";
import { addPrincipal, newPrincipal } from "../../first-start.ts";
import { PRINCIPALS, RESOURCES } from "../../state-kinds.ts";
import type { ResourceDocument } from "../../state-kinds.ts";
import { badRequest } from "../refusal.ts";
import type { ArmContext, Json, ResourceInput } from "../type-spec.ts";
import { objectAt, textAt } from "../type-spec.ts";

export const guidSchema = z.guid();
export const armId = z.string().regex(/^\/subscriptions\/[^/]+\//i, "expected a resource id");
/** Something that is named by its id: `{ id }`. */
export const reference = z.strictObject({ id: armId });
export const onOff = z.enum(["Enabled", "Disabled"]);
export const cidr = z.string().regex(/^[0-9.]{7,15}\/\d{1,2}$/, "expected a CIDR");

export const vmSize = z
  .string()
  .regex(/^Standard_[A-Za-z0-9-]+(?:_[A-Za-z0-9]+)*$/, "expected a VM size");

/** The managed identities of a resource. */
export const identityShape = z.strictObject({
  type: z.enum(["None", "SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned"]),
  userAssignedIdentities: z.record(armId, z.record(z.string(), z.unknown())).optional(),
});

/** A sku of a name alone, or with its tier. */
export function skuOf(...names: readonly [string, ...string[]]): z.ZodType {
  return z.strictObject({ name: z.enum(names), tier: z.string().optional() });
}

/** The ids of the user-assigned identities of a body. */
export function userIdentities(body: Json): readonly string[] {
  return Object.keys(objectAt(objectAt(body, "identity"), "userAssignedIdentities"));
}

/** Naming an identity in a resource asks for a right on that identity. */
export function identityLinks({
  body,
}: ResourceInput): readonly { readonly action: string; readonly scope: string }[] {
  return userIdentities(body).map((scope) => ({
    action: "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    scope,
  }));
}

/**
 * The identity as Azure gives it back: principal and client ids of the named ones, and a new principal
 * for the system's own. @throws ArmRefusal where a named identity does not exist
 */
export function completeIdentity(input: ResourceInput, context: ArmContext): Json {
  const identity = objectAt(input.body, "identity");
  const type = textAt(identity, "type");
  if (type === "" || type === "None") return {};
  const users = Object.fromEntries(
    userIdentities(input.body).map((id) => {
      const found = context.state.get(RESOURCES, id.toLowerCase());
      if (found === null)
        throw badRequest("InvalidUserAssignedIdentity", `The identity '${id}' was not found.`);
      const { principalId, clientId } = found.properties;
      return [id, { principalId, clientId }];
    }),
  );
  const system = type.includes("SystemAssigned") ? systemIdentity(input, context) : {};
  return {
    identity: {
      type,
      ...system,
      ...(Object.keys(users).length === 0 ? {} : { userAssignedIdentities: users }),
    },
  };
}

/** Keeps what Azure chose when the resource was made. */
export function kept(input: ResourceInput, name: string, make: () => string): string {
  const before = textAt(input.before?.properties ?? {}, name);
  return before === "" ? make() : before;
}

/** A new GUID of a resource. */
export function newId(): string {
  return randomUUID();
}

/** The principal is made when the resource is kept. @see keepSystemIdentity */
function systemIdentity(input: ResourceInput, { tenantId }: ArmContext): Json {
  const known = objectAt({ ...input.before }, "identity")["principalId"];
  return { principalId: typeof known === "string" ? known : newId(), tenantId };
}

/** Makes the principal of a resource's own identity, where it has one. */
export function keepSystemIdentity(document: ResourceDocument, context: ArmContext): void {
  const { state, tenantId } = context;
  const objectId = objectAt(document, "identity")["principalId"];
  if (typeof objectId !== "string" || state.get(PRINCIPALS, objectId) !== null) return;
  addPrincipal(state, {
    ...newPrincipal({ tenantId, displayName: document.name }),
    objectId,
    kind: "managed-identity",
    resourceId: document.id,
  });
}
