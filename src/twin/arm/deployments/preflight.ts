import type { TwinPrincipal } from "../../service.ts";
import { RESOURCES } from "../../state-kinds.ts";
import { checkCapacity } from "../capacity.ts";
import { ArmRefusal, asArmError, groupNotFound } from "../refusal.ts";
import type { ArmError } from "../refusal.ts";
import { groupIdOf, isType, parseResourceId } from "../resource-id.ts";
import { checkGroup } from "../resource-groups.ts";
import { checkPut, requireSpec } from "../resources.ts";
import type { PlannedResource } from "../template/expand.ts";
import { objectAt, textAt } from "../type-spec.ts";
import type { ArmContext, Json, QuotaDemand } from "../type-spec.ts";
import { isAllowed } from "../authorize.ts";
import { flatten } from "./plan.ts";
import type { Plan, Planned } from "./plan.ts";

const GROUP = "Microsoft.Resources/resourceGroups";

/**
 * What ARM checks before it takes a deployment: the group is there, who deploys may write each
 * resource, and each provider takes its resources. Nothing is changed.
 * @throws ArmRefusal InvalidTemplateDeployment, with one detail a resource
 * @see learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-invalid-template-deployment
 */
export function preflight(
  context: ArmContext,
  { planned, plan, principal }: { planned: Planned; plan: Plan; principal: TwinPrincipal },
): readonly PlannedResource[] {
  const { scope, name } = planned;
  if (scope.resourceGroup !== null) {
    const key = groupIdOf(scope.subscriptionId, scope.resourceGroup).toLowerCase();
    if (context.state.get(RESOURCES, key) === null) throw groupNotFound(scope.resourceGroup);
  }
  const resources = flatten(context, plan);
  for (const { type, apiVersion } of resources)
    if (!isType(type, GROUP)) requireSpec(type, apiVersion);
  requireRights(context, resources, principal);
  const groups = new Set(resources.filter(({ type }) => isType(type, GROUP)).map(keyOf));
  const errors = resources.flatMap((resource) => {
    const error = errorOf(context, { resource, principal, groups });
    return error === null ? [] : [error];
  });
  errors.push(...capacityErrors(context, resources));
  if (errors.length === 0) return resources;
  throw new ArmRefusal(400, "InvalidTemplateDeployment", {
    message: `The template deployment '${name}' is not valid according to the validation procedure. See inner errors for details.`,
    details: errors,
  });
}

/** One refusal that names every resource which the caller may not write. */
function requireRights(
  context: ArmContext,
  resources: readonly PlannedResource[],
  principal: TwinPrincipal,
): void {
  const denied = resources.filter(
    ({ id, type }) => !isAllowed(context, principal, { action: `${type}/write`, scope: id }),
  );
  if (denied.length === 0) return;
  const who = `The client '${principal.applicationId ?? principal.objectId}' with object id '${principal.objectId}'`;
  const sentences = denied.map(
    ({ id, type, name }) =>
      `Authorization failed for template resource '${name}' of type '${type}'. ${who} does not have permission to perform action '${type}/write' at scope '${id}'.`,
  );
  throw new ArmRefusal(403, "InvalidTemplateDeployment", {
    message: `Deployment failed with multiple errors: '${sentences.join(":")}'`,
  });
}

function errorOf(
  context: ArmContext,
  asked: {
    readonly resource: PlannedResource;
    readonly principal: TwinPrincipal;
    readonly groups: ReadonlySet<string>;
  },
): ArmError | null {
  const { resource, principal, groups } = asked;
  try {
    if (isType(resource.type, GROUP)) {
      checkGroup(context, { name: resource.name, body: resource.body, id: resource.id });
      return null;
    }
    const id = parseResourceId(resource.id);
    if (id === null) return null;
    const { apiVersion, body, isWhole } = resource;
    if (id.resourceGroup !== null) {
      const group = groupIdOf(id.subscriptionId ?? "", id.resourceGroup).toLowerCase();
      if (!groups.has(group) && context.state.get(RESOURCES, group) === null)
        throw groupNotFound(id.resourceGroup);
    }
    checkPut(context, { id, apiVersion, body, principal, isPreflight: true, isWhole });
    return null;
  } catch (error) {
    const known = asArmError(error);
    if (known === null) throw error;
    return { ...known, target: resource.id };
  }
}

/** Capacity is asked for all resources together, a region at a time. */
function capacityErrors(
  context: ArmContext,
  resources: readonly PlannedResource[],
): readonly ArmError[] {
  const regions = new Map<string, QuotaDemand[]>();
  const locations = new Map(resources.map(({ id, body }) => [id.toLowerCase(), locationIn(body)]));
  for (const { type, apiVersion, body, id } of resources) {
    if (isType(type, GROUP)) continue;
    const demands = requireSpec(type, apiVersion).quota?.(objectAt(body, "properties")) ?? [];
    if (demands.length === 0) continue;
    const parent = parseResourceId(id)?.parent?.toLowerCase() ?? "";
    const own = locationIn(body);
    const known = locations.get(parent) ?? locationIn({ ...context.state.get(RESOURCES, parent) });
    const region = own === "" ? known : own;
    regions.set(region, [...(regions.get(region) ?? []), ...demands]);
  }
  const keys = new Set(resources.map(keyOf));
  return [...regions].flatMap(([region, demands]) => {
    try {
      checkCapacity(context.state, { region, demands, keys });
      return [];
    } catch (error) {
      const known = asArmError(error);
      if (known === null) throw error;
      return [known];
    }
  });
}

function locationIn(body: Json): string {
  return textAt(body, "location").toLowerCase().replaceAll(" ", "");
}

function keyOf({ id }: PlannedResource): string {
  return id.toLowerCase();
}
