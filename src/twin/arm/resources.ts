import { takeFault } from "../front/faults.ts";
import { KeyVaultRefusal } from "../keyvault/refusal.ts";
import type { ResourceChange, TwinPrincipal } from "../service.ts";
import { RESOURCES } from "../state-kinds.ts";
import type { ResourceDocument } from "../state-kinds.ts";
import { requireAllowed } from "./authorize.ts";
import { checkCapacity, REGIONS } from "./capacity.ts";
import { checkBody, checkReferences, locationOf } from "./check-body.ts";
import { requireNameFree, takeDeleted } from "./names.ts";
import { ArmRefusal, badRequest, groupNotFound, resourceNotFound } from "./refusal.ts";
import { groupIdOf, parseResourceId } from "./resource-id.ts";
import type { ResourceId } from "./resource-id.ts";
import { INPUTS, READY_TIMES } from "./state-kinds.ts";
import { typeSpec } from "./type-table.ts";
import { textAt } from "./type-spec.ts";
import type { ArmContext, Json, ResourceInput, TypeSpec } from "./type-spec.ts";
import { isVaultObject, vaultObject } from "./vault-objects.ts";
import { keepSystemIdentity } from "./types/shapes.ts";

/** Which resources a PUT may refer to; all that are there where it is not given. */
export type Visibility = (key: string) => boolean;

/** A PUT of a resource: by a caller, or as a step of a deployment. */
export type PutRequest = {
  readonly id: ResourceId;
  readonly apiVersion: string;
  readonly body: Json;
  readonly principal: TwinPrincipal;
  readonly isVisible?: Visibility;
};

/** What a PUT did. */
export type PutResult = { readonly document: ResourceDocument; readonly isNew: boolean };

/** The specification of a type at a version. @throws ArmRefusal for those that the double does not know */
export function requireSpec(type: string, apiVersion: string): TypeSpec {
  const spec = typeSpec(type);
  if (spec === null)
    throw badRequest(
      "InvalidResourceType",
      `The resource type '${type.slice(0, 200)}' could not be found in the double of Azure for api version '${apiVersion.slice(0, 30)}'. (It knows the types of docs/twin.md.)`,
    );
  if (!spec.apiVersions.includes(apiVersion))
    throw badRequest(
      "NoRegisteredProviderFound",
      `No registered resource provider found for location 'global' and API version '${apiVersion.slice(0, 30)}' for type '${type}'. The supported api-versions are '${spec.apiVersions.join(", ")}'.`,
    );
  return spec;
}

/**
 * Everything that is checked before a resource is made: type, form, rights, names, capacity and what it
 * refers to. Nothing is changed.
 * @throws ArmRefusal
 */
export function checkPut(
  context: ArmContext,
  request: PutRequest & { readonly isPreflight?: boolean; readonly isWhole?: boolean },
): { readonly spec: TypeSpec; readonly input: ResourceInput } {
  const { id, apiVersion, body, principal } = request;
  const spec = requireSpec(id.type, apiVersion);
  requireAllowed(context, principal, { action: `${spec.type}/write`, scope: id.id });
  // Before a deployment its groups and parents are not there yet, and capacity is counted for all.
  const isPreflight = request.isPreflight === true;
  if (!isPreflight) requirePlace(context, request);
  const before = context.state.get(RESOURCES, id.key);
  const properties = checkBody(context, { spec, id, apiVersion, body });
  const location = locationOf(spec, body);
  if (spec.isTracked && location !== "global" && !REGIONS.includes(location))
    throw badRequest(
      "LocationNotAvailableForResourceType",
      `The provided location '${location}' is not available for resource type '${spec.type}'. List of available regions for the resource type is '${REGIONS.join(",")}'.`,
    );
  if (before !== null && spec.isTracked && before["location"] !== location)
    throw new ArmRefusal(409, "InvalidResourceLocation", {
      message: `The resource '${id.name}' already exists in location '${String(before["location"])}' in resource group '${id.resourceGroup ?? ""}'. A resource with the same name cannot be created in location '${location}'. Please select a new resource name.`,
    });
  const input: ResourceInput = { id, body, properties, location, before, principal };
  for (const asked of spec.linked?.(input) ?? []) requireLinked(context, principal, asked);
  if (before === null) requireNameFree(context, { spec, id, properties });
  // What only the deployment knows cannot be compared yet.
  if (request.isWhole !== false) spec.check?.(input, context);
  const demands = spec.quota?.(properties) ?? [];
  if (demands.length > 0 && !isPreflight)
    checkCapacity(context.state, {
      region: regionOf(context, input),
      demands,
      keys: new Set([id.key]),
    });
  return { spec, input };
}

/** Makes or changes a resource, after `checkPut`. @throws ArmRefusal */
export async function putResource(context: ArmContext, request: PutRequest): Promise<PutResult> {
  const { id } = request;
  failByFault(context, "PUT", id);
  const { spec, input } = checkPut(context, request);
  checkReferences(context, { id, body: request.body, isVisible: request.isVisible ?? everything });
  const recovered = takeDeleted(context, { spec, id, properties: input.properties });
  const completion = (await spec.complete?.(input, context)) ?? {};
  const document = documentOf(spec, input, completion);
  const added = await tellServices(context, changeOf(document, recovered ? "recover" : "put"));
  const whole = { ...document, properties: { ...document.properties, ...added } };
  const isNew = input.before === null;
  context.state.transaction(() => {
    context.state.put(RESOURCES, id.key, whole);
    context.state.put(INPUTS, id.key, { body: { ...request.body } });
    if (spec.isSlow === true && context.paceMs > 0)
      context.state.put(READY_TIMES, id.key, {
        readyMs: context.clock() + context.paceMs,
        state: isNew ? "Creating" : "Updating",
      });
    keepSystemIdentity(whole, context);
    spec.onPut?.(whole, context);
  });
  return { document: whole, isNew };
}

/** What a service refuses fails the resource in ARM's own form. @throws ArmRefusal */
async function tellServices(context: ArmContext, change: ResourceChange): Promise<Json> {
  try {
    return await context.notify(change);
  } catch (error) {
    if (!(error instanceof KeyVaultRefusal)) throw error;
    throw new ArmRefusal(error.status, error.inner ?? error.code, { message: error.message });
  }
}

function everything(): boolean {
  return true;
}

/** A resource as a GET gives it: not finished where its time is not come; null where it is not there. */
export function getResource(context: ArmContext, key: string): ResourceDocument | null {
  const document = context.state.get(RESOURCES, key.toLowerCase());
  if (document === null) return null;
  const ready = context.state.get(READY_TIMES, key.toLowerCase());
  if (ready === null || ready.readyMs <= context.clock()) return document;
  return { ...document, properties: { ...document.properties, provisioningState: ready.state } };
}

/** What is told to the services of the double. */
export function changeOf(
  document: ResourceDocument,
  action: ResourceChange["action"],
): ResourceChange {
  const tags = document["tags"];
  return {
    action,
    id: document.id,
    type: document.type,
    name: parseResourceId(document.id)?.name ?? document.name,
    properties: document.properties,
    tags: typeof tags === "object" && tags !== null ? { ...(tags as Record<string, string>) } : {},
  };
}

/** A fault on demand of a resource's own step, inside a deployment too. @throws ArmRefusal */
export function failByFault(context: ArmContext, method: string, id: ResourceId): void {
  const target = `resource:${id.id}`;
  const fault = takeFault(context.state, { service: "arm", method, target });
  if (fault === null) return;
  const status = typeof fault.status === "number" ? fault.status : 500;
  throw new ArmRefusal(status, status === 429 ? "TooManyRequests" : "InternalServerError", {
    message: `The operation on ${id.type} '${id.name}' failed. (Fault on demand.)`,
    retryAfterSeconds: fault.retryAfterSeconds,
  });
}

function documentOf(
  spec: TypeSpec,
  { id, body, location, properties, before }: ResourceInput,
  completion: Awaited<ReturnType<NonNullable<TypeSpec["complete"]>>>,
): ResourceDocument {
  const members = Object.fromEntries(
    Object.keys(spec.top ?? {}).flatMap((name) => (name in body ? [[name, body[name]]] : [])),
  );
  const tags = body["tags"];
  return {
    // Azure keeps the letters of the first PUT.
    id: before?.id ?? id.id,
    name: id.name.split("/").at(-1) ?? "",
    type: spec.type,
    ...(spec.isTracked ? { location, tags: tags ?? {} } : tags === undefined ? {} : { tags }),
    ...members,
    ...completion.top,
    properties: withoutPaths({ ...properties, ...completion.properties }, spec.writeOnly ?? []),
  };
}

/** Groups, parents and what is extended have to be there. @throws ArmRefusal */
function requirePlace(context: ArmContext, { id, isVisible = everything }: PutRequest): void {
  const { state } = context;
  const { subscriptionId, resourceGroup, parent } = id;
  const isThere = (key: string): boolean => state.get(RESOURCES, key) !== null && isVisible(key);
  if (resourceGroup !== null) {
    const group = groupIdOf(subscriptionId ?? "", resourceGroup).toLowerCase();
    if (!isThere(group)) throw groupNotFound(resourceGroup);
  }
  const above = parseResourceId(parent ?? (id.isExtension ? id.scope : ""));
  const wanted = parent === null ? ofControlPlane(above) : above;
  if (wanted === null || isSubnet(wanted)) return;
  if (isVaultObject(wanted)) {
    if (vaultObject(state, wanted) !== null && isVisible(wanted.key)) return;
  } else if (isThere(wanted.key)) return;
  if (id.isExtension) throw resourceNotFound(wanted.id);
  throw new ArmRefusal(404, "ParentResourceNotFound", {
    message: `Failed to perform 'write' on resource(s) of type '${id.type}', because the parent resource '${wanted.id}' could not be found.`,
  });
}

/** Containers may be given rights before they are there: who has them is not asked here. */
function ofControlPlane(id: ResourceId | null): ResourceId | null {
  if (id === null || id.parent === null || isVaultObject(id)) return id;
  const spec = typeSpec(id.type);
  if (spec !== null && spec.isOfDataPlane !== true) return id;
  return ofControlPlane(parseResourceId(id.parent));
}

function isSubnet({ type }: ResourceId): boolean {
  return type.toLowerCase() === "microsoft.network/virtualnetworks/subnets";
}

function requireLinked(
  context: ArmContext,
  principal: TwinPrincipal,
  asked: { readonly action: string; readonly scope: string },
): void {
  try {
    requireAllowed(context, principal, asked);
  } catch (error) {
    if (!(error instanceof ArmRefusal)) throw error;
    throw new ArmRefusal(403, "LinkedAuthorizationFailed", {
      message: `The client has permission to perform the write; however, it does not have permission to perform action(s) '${asked.action}' on the linked scope(s) '${asked.scope}' (respectively) or the linked scope(s) are invalid.`,
    });
  }
}

function regionOf({ state }: ArmContext, { id, location }: ResourceInput): string {
  if (location !== "") return location;
  const parent = state.get(RESOURCES, (id.parent ?? "").toLowerCase());
  return textAt({ ...parent }, "location");
}

function withoutPaths(properties: Json, paths: readonly string[]): Record<string, unknown> {
  let result: Json = properties;
  for (const path of paths) {
    const [first = "", ...rest] = path.split(".");
    const { [first]: member, ...others } = result;
    const isDeep = rest.length > 0 && typeof member === "object" && member !== null;
    result = isDeep
      ? { ...others, [first]: withoutPaths({ ...member }, [rest.join(".")]) }
      : others;
  }
  return { ...result };
}
