import { z } from "zod";
import type { TwinPrincipal } from "../service.ts";
import { RESOURCES } from "../state-kinds.ts";
import type { ResourceDocument } from "../state-kinds.ts";
import { requireAllowed } from "./authorize.ts";
import { REGIONS } from "./capacity.ts";
import { normalLocation } from "./check-body.ts";
import { removeAll } from "./delete-resource.ts";
import { ArmRefusal, badRequest, groupNotFound } from "./refusal.ts";
import { groupIdOf } from "./resource-id.ts";
import { INPUTS } from "./state-kinds.ts";
import type { ArmContext, Json } from "./type-spec.ts";
import { DEPLOYMENTS, DEPLOYMENT_OPERATIONS } from "./deployments/documents.ts";
import { STACKS } from "./stacks/stack-documents.ts";

const TYPE = "Microsoft.Resources/resourceGroups";

const bodySchema = z.strictObject({
  location: z.string(),
  tags: z.record(z.string(), z.string().max(256)).nullable().optional(),
  managedBy: z.string().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  id: z.string().optional(),
  name: z.string().optional(),
  type: z.string().optional(),
});

/** The group as a document, checked. @throws ArmRefusal */
export function checkGroup(
  { state }: ArmContext,
  group: { readonly id: string; readonly name: string; readonly body: Json },
): ResourceDocument {
  const { id, name, body } = group;
  if (!/^[\w().-]{0,89}[\w()-]$/.test(name))
    throw badRequest(
      "InvalidResourceGroup",
      `The provided resource group name '${name.slice(0, 100)}' has these invalid characters, or ends with a period.`,
    );
  const parsed = bodySchema.safeParse(body);
  if (!parsed.success)
    throw badRequest(
      "InvalidRequestContent",
      `The request content was invalid: '${parsed.error.issues[0]?.path.join(".") ?? ""}: ${parsed.error.issues[0]?.message ?? ""}'.`,
    );
  const location = normalLocation(parsed.data.location);
  if (!REGIONS.includes(location))
    throw badRequest(
      "LocationNotAvailableForResourceGroup",
      `The provided location '${parsed.data.location}' is not available for resource group. List of available regions is '${REGIONS.join(",")}'.`,
    );
  const before = state.get(RESOURCES, id.toLowerCase());
  if (before !== null && before["location"] !== location)
    throw new ArmRefusal(409, "InvalidResourceGroupLocation", {
      message: `Invalid resource group location '${location}'. The Resource group already exists in location '${String(before["location"])}'.`,
    });
  return {
    id: before?.id ?? id,
    name,
    type: TYPE,
    location,
    tags: parsed.data.tags ?? {},
    properties: { provisioningState: "Succeeded" },
  };
}

/** Makes or changes a group. @throws ArmRefusal */
export function putGroup(
  context: ArmContext,
  request: {
    readonly subscriptionId: string;
    readonly name: string;
    readonly body: Json;
    readonly principal: TwinPrincipal;
  },
): { readonly document: ResourceDocument; readonly isNew: boolean } {
  const id = groupIdOf(request.subscriptionId, request.name);
  const action = `${TYPE.replace("/resourceGroups", "/subscriptions/resourceGroups")}/write`;
  requireAllowed(context, request.principal, { action, scope: id });
  const document = checkGroup(context, { id, name: request.name, body: request.body });
  const { state } = context;
  const isNew = state.get(RESOURCES, id.toLowerCase()) === null;
  state.transaction(() => {
    state.put(RESOURCES, id.toLowerCase(), document);
    state.put(INPUTS, id.toLowerCase(), { body: { ...request.body } });
  });
  return { document, isNew };
}

/** Deletes a group with all that is in it; vaults are kept for their retention. @throws ArmRefusal */
export async function deleteGroup(
  context: ArmContext,
  request: {
    readonly subscriptionId: string;
    readonly name: string;
    readonly principal: TwinPrincipal;
  },
): Promise<void> {
  const { state } = context;
  const id = groupIdOf(request.subscriptionId, request.name);
  const action = "Microsoft.Resources/subscriptions/resourceGroups/delete";
  requireAllowed(context, request.principal, { action, scope: id });
  const key = id.toLowerCase();
  if (state.get(RESOURCES, key) === null) throw groupNotFound(request.name);
  const stacks = state.list(STACKS, { prefix: `${key}/` });
  const denied = state
    .list(RESOURCES, { prefix: `${key}/` })
    .filter(({ document }) => document["managedBy"] === undefined);
  for (const { document } of denied)
    requireAllowed(context, request.principal, {
      action: `${document.type}/delete`,
      scope: document.id,
    });
  // What is top-level goes with what is below it.
  const top = denied.map(({ id: one }) => one).filter((one) => !isBelowAny(one, denied));
  await removeAll(context, top);
  state.transaction(() => {
    for (const { id: one } of stacks) state.remove(STACKS, one);
    for (const { id: one } of state.list(DEPLOYMENTS, { prefix: `${key}/` }))
      state.remove(DEPLOYMENTS, one);
    for (const { id: one } of state.list(DEPLOYMENT_OPERATIONS, { prefix: `${key}/` }))
      state.remove(DEPLOYMENT_OPERATIONS, one);
  });
  await removeAll(context, [key]);
}

function isBelowAny(key: string, all: readonly { readonly id: string }[]): boolean {
  return all.some(({ id }) => key.startsWith(`${id}/`));
}
