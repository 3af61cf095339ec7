import { RESOURCES } from "../../state-kinds.ts";
import { requireAllowed } from "../authorize.ts";
import { beginPolling } from "../async-operations.ts";
import { ArmRefusal, badRequest, groupNotFound } from "../refusal.ts";
import { groupIdOf, parseResourceId } from "../resource-id.ts";
import { listReply, part, route, routesAtBothScopes } from "../route.ts";
import type { ArmRequest, Reply, Route } from "../route.ts";
import { objectAt, textAt } from "../type-spec.ts";
import type { ArmContext, Json } from "../type-spec.ts";
import { changeOfResource, deletedChange, ignoredChange } from "../what-if.ts";
import type { Change } from "../what-if.ts";
import {
  deploymentInputSchema,
  DEPLOYMENT_OPERATIONS,
  DEPLOYMENTS,
  isAtRest,
} from "./documents.ts";
import type { DeploymentDocument } from "./documents.ts";
import { planDeployment } from "./plan.ts";
import type { Plan, Planned } from "./plan.ts";
import { preflight } from "./preflight.ts";
import { deploymentId, newCorrelationId, runDeployment } from "./run.ts";
import { deploymentBody } from "./view.ts";

const TYPE = "Microsoft.Resources/deployments";
const VERSIONS = [
  "2026-06-01",
  "2025-04-01",
  "2025-03-01",
  "2024-11-01",
  "2024-07-01",
  "2024-03-01",
  "2023-07-01",
  "2022-09-01",
  "2021-04-01",
  "2020-10-01",
];
const both = routesAtBothScopes({ type: TYPE, versions: VERSIONS });

type Asked = { readonly planned: Planned; readonly location: string | null; readonly id: string };

/** Deployments of a subscription or of a group. */
export const DEPLOYMENT_ROUTES: readonly Route[] = [
  ...both("PUT", "/:name", create),
  ...both("GET", "/:name", show),
  ...both("HEAD", "/:name", (request) => ({ status: find(request) === null ? 404 : 204 })),
  ...both("DELETE", "/:name", remove),
  ...both("GET", "", list),
  ...both("POST", "/:name/validate", validate),
  ...both("POST", "/:name/whatIf", whatIf),
  ...both("POST", "/:name/cancel", cancel),
  ...both("POST", "/:name/exportTemplate", (request) => ({
    status: 200,
    body: { template: required(request).input.template },
  })),
  ...both("GET", "/:name/operations", operations),
  // Operations of a group's deployment have a path of their own, without the provider.
  route(
    "GET",
    "/subscriptions/:subscription/resourceGroups/:group/deployments/:name/operations",
    operations,
  ),
];

/** Goes on with the deployments that ran when the twin was killed. */
export function resumeDeployments(context: ArmContext): void {
  for (const { id, document } of context.state.list(DEPLOYMENTS))
    if (!isAtRest(document.state) && !document.isInner)
      context.inBackground(runDeployment(context, id));
}

function create(request: ArmRequest): Reply {
  const { context, principal } = request;
  const asked = askedOf(request);
  requireAllowed(context, principal, { action: `${TYPE}/write`, scope: asked.id });
  const key = asked.id.toLowerCase();
  const before = context.state.get(DEPLOYMENTS, key);
  if (before !== null && !isAtRest(before.state))
    throw new ArmRefusal(409, "DeploymentActive", {
      message: `Unable to edit or replace deployment '${before.name}': previous deployment from '${new Date(before.startedMs).toISOString()}' is still active. Please see https://aka.ms/arm-deploy for usage details.`,
    });
  const plan = planDeployment(context, asked.planned);
  preflight(context, { planned: asked.planned, plan, principal });
  const document = newDeployment(request, asked);
  context.state.transaction(() => {
    for (const { id } of context.state.list(DEPLOYMENT_OPERATIONS, { prefix: `${key}/` }))
      context.state.remove(DEPLOYMENT_OPERATIONS, id);
    context.state.put(DEPLOYMENTS, key, document);
  });
  context.inBackground(runDeployment(context, key));
  const scope = asked.id.slice(0, asked.id.toLowerCase().lastIndexOf("/providers/"));
  return {
    status: before === null ? 201 : 200,
    body: deploymentBody(context, document),
    headers: beginPolling(context, { scope, follows: key, kind: "status" }),
  };
}

function newDeployment(request: ArmRequest, asked: Asked): DeploymentDocument {
  const tags = request.body["tags"];
  return {
    id: asked.id,
    name: asked.planned.name,
    scope: asked.planned.scope,
    location: asked.location,
    tags: typeof tags === "object" && tags !== null ? { ...(tags as Record<string, string>) } : {},
    input: asked.planned.input,
    principal: request.principal,
    correlationId: newCorrelationId(),
    isInner: false,
    state: "Accepted",
    startedMs: request.context.clock(),
    endedMs: null,
    error: null,
    outputs: null,
    outputResources: [],
  };
}

function show(request: ArmRequest): Reply {
  return { status: 200, body: deploymentBody(request.context, required(request)) };
}

function list(request: ArmRequest): Reply {
  const { context, principal } = request;
  const scope = scopeOf(request);
  const prefix = deploymentId(scope, "");
  requireAllowed(context, principal, { action: `${TYPE}/read`, scope: prefix.slice(0, -1) });
  const all = context.state.list(DEPLOYMENTS, { prefix: prefix.toLowerCase() });
  return listReply(all.map(({ document }) => deploymentBody(context, document)));
}

function remove(request: ArmRequest): Reply {
  const { context, principal } = request;
  const id = deploymentId(scopeOf(request), part(request, "name"));
  requireAllowed(context, principal, { action: `${TYPE}/delete`, scope: id });
  const document = find(request);
  if (document === null) return { status: 204 };
  if (!isAtRest(document.state))
    throw new ArmRefusal(409, "DeploymentActive", {
      message: `Unable to delete deployment '${document.name}' while it is active.`,
    });
  context.state.remove(DEPLOYMENTS, id.toLowerCase());
  return { status: 204 };
}

function validate(request: ArmRequest): Reply {
  const { context, principal } = request;
  const asked = askedOf(request);
  requireAllowed(context, principal, { action: `${TYPE}/validate/action`, scope: asked.id });
  const plan = planDeployment(context, asked.planned);
  const resources = preflight(context, { planned: asked.planned, plan, principal });
  const document = newDeployment(request, asked);
  const body = deploymentBody(context, { ...document, state: "Succeeded" });
  const validatedResources = resources.map(({ id }) => ({ id }));
  return { status: 200, body: { ...body, properties: { ...body.properties, validatedResources } } };
}

function whatIf(request: ArmRequest): Reply {
  const { context, principal } = request;
  const asked = askedOf(request);
  requireAllowed(context, principal, { action: `${TYPE}/whatIf/action`, scope: asked.id });
  const plan = planDeployment(context, asked.planned);
  const level = asked.planned.input.validationLevel ?? "Provider";
  const changes =
    level === "Template" ? changesOf(context, plan) : checkedChanges(request, { asked, plan });
  const others = othersOf(context, { asked, changes });
  const body = { status: "Succeeded", properties: { changes: [...changes, ...others] } };
  return { status: 200, body };
}

function checkedChanges(
  { context, principal }: ArmRequest,
  { asked, plan }: { readonly asked: Asked; readonly plan: Plan },
): readonly Change[] {
  const resources = preflight(context, { planned: asked.planned, plan, principal });
  return resources.map((resource) => changeOfResource(context, resource));
}

function changesOf(context: ArmContext, plan: Plan): readonly Change[] {
  return plan.resources
    .filter(({ nested }) => nested === null)
    .map((resource) => changeOfResource(context, resource));
}

/** What the group has beside the template: ignored, or deleted where the mode is Complete. */
function othersOf(
  { state }: ArmContext,
  { asked, changes }: { readonly asked: Asked; readonly changes: readonly Change[] },
): readonly Change[] {
  const { scope, input } = asked.planned;
  if (scope.resourceGroup === null) return [];
  const named = new Set(changes.map(({ resourceId }) => resourceId.toLowerCase()));
  const prefix = `${groupIdOf(scope.subscriptionId, scope.resourceGroup).toLowerCase()}/`;
  return state
    .list(RESOURCES, { prefix })
    .filter(({ id }) => !named.has(id))
    .filter(({ id }) => {
      const parsed = parseResourceId(id);
      return parsed?.parent === null && !parsed.isExtension;
    })
    .map(({ document }) =>
      input.mode === "Complete" ? deletedChange(document) : ignoredChange(document),
    );
}

function cancel(request: ArmRequest): Reply {
  const { context, principal } = request;
  const document = required(request);
  requireAllowed(context, principal, { action: `${TYPE}/cancel/action`, scope: document.id });
  if (isAtRest(document.state))
    throw new ArmRefusal(409, "DeploymentCannotBeCancelled", {
      message: `The deployment '${document.name}' cannot be cancelled as the provisioning state is already terminal.`,
    });
  context.state.put(DEPLOYMENTS, document.id.toLowerCase(), {
    ...document,
    state: "Canceled",
    endedMs: context.clock(),
    error: { code: "DeploymentCanceled", message: "The deployment was canceled." },
  });
  return { status: 204 };
}

function operations(request: ArmRequest): Reply {
  const { context } = request;
  const { id } = required(request);
  const all = context.state.list(DEPLOYMENT_OPERATIONS, { prefix: `${id.toLowerCase()}/` });
  const sorted = all
    .map(({ document }) => document)
    .sort((one, other) =>
      textAt(one.properties, "timestamp").localeCompare(textAt(other.properties, "timestamp")),
    );
  return listReply(sorted);
}

/** What a request says of a deployment. @throws ArmRefusal */
function askedOf(request: ArmRequest): Asked {
  const { body } = request;
  const name = part(request, "name");
  if (!/^[\w.()-]{1,64}$/.test(name))
    throw badRequest("InvalidDeploymentName", `The deployment name '${name}' is invalid.`);
  const scope = scopeOf(request);
  const parsed = deploymentInputSchema.safeParse(inputOf(body));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw badRequest(
      "InvalidRequestContent",
      `The request content was invalid and could not be deserialized: 'properties.${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}'.`,
    );
  }
  const location = textAt(body, "location");
  if (scope.resourceGroup === null && location === "")
    throw badRequest("LocationRequired", "The location property is required for this definition.");
  if (scope.resourceGroup === null && parsed.data.mode === "Complete")
    throw badRequest(
      "InvalidDeploymentMode",
      "The deployment mode 'Complete' is not supported at this scope.",
    );
  const planned = { name, scope, input: parsed.data };
  const place = location === "" ? null : location;
  return { planned, location: place, id: deploymentId(scope, name) };
}

/** Clients send members that are empty; ARM takes them as not given. */
function inputOf(body: Json): Json {
  const properties = objectAt(body, "properties");
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== null));
}

function scopeOf(request: ArmRequest): DeploymentDocument["scope"] {
  const { context, parts } = request;
  const group = parts["group"];
  const subscriptionId = part(request, "subscription").toLowerCase();
  if (group === undefined) return { subscriptionId, resourceGroup: null };
  const known = context.state.get(RESOURCES, groupIdOf(subscriptionId, group).toLowerCase());
  if (known === null) throw groupNotFound(group);
  return { subscriptionId, resourceGroup: known.name };
}

function find(request: ArmRequest): DeploymentDocument | null {
  const { context, principal } = request;
  const id = deploymentId(scopeOf(request), part(request, "name"));
  requireAllowed(context, principal, { action: `${TYPE}/read`, scope: id });
  return context.state.get(DEPLOYMENTS, id.toLowerCase());
}

function required(request: ArmRequest): DeploymentDocument {
  const document = find(request);
  if (document !== null) return document;
  throw new ArmRefusal(404, "DeploymentNotFound", {
    message: `Deployment '${part(request, "name")}' could not be found.`,
  });
}
