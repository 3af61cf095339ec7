import { RESOURCES } from "../../state-kinds.ts";
import { beginPolling } from "../async-operations.ts";
import { requireAllowed } from "../authorize.ts";
import { planDeployment } from "../deployments/plan.ts";
import { preflight } from "../deployments/preflight.ts";
import { durationOf } from "../deployments/operations.ts";
import { newCorrelationId } from "../deployments/run.ts";
import { ArmRefusal, badRequest, groupNotFound } from "../refusal.ts";
import { groupIdOf, makeId, parseResourceId } from "../resource-id.ts";
import { listReply, part, routesAtBothScopes } from "../route.ts";
import type { ArmRequest, Reply, Route } from "../route.ts";
import { objectAt, textAt } from "../type-spec.ts";
import type { ArmContext, Json } from "../type-spec.ts";
import { runStack } from "./run-stack.ts";
import { isStackAtRest, stackInputSchema, STACKS } from "./stack-documents.ts";
import type { StackDocument, StackInput } from "./stack-documents.ts";

const TYPE = "Microsoft.Resources/deploymentStacks";
const VERSIONS = ["2025-07-01", "2024-03-01", "2022-08-01-preview"];
const both = routesAtBothScopes({ type: TYPE, versions: VERSIONS });

/** Deployment stacks of a subscription or of a group. */
export const STACK_ROUTES: readonly Route[] = [
  ...both("PUT", "/:name", put),
  ...both("GET", "/:name", (request) => ({
    status: 200,
    body: stackBody(request.context, required(request)),
  })),
  ...both("HEAD", "/:name", (request) => ({ status: find(request) === null ? 404 : 204 })),
  ...both("GET", "", list),
  ...both("DELETE", "/:name", remove),
  ...both("POST", "/:name/validate", validate),
  ...both("POST", "/:name/exportTemplate", (request) => ({
    status: 200,
    body: { template: required(request).input.template },
  })),
];

/** Goes on with the stacks whose work was cut off when the twin was killed. */
export function resumeStacks(context: ArmContext): void {
  for (const { id, document } of context.state.list(STACKS))
    if (document.task !== null) context.inBackground(runStack(context, id));
}

function put(request: ArmRequest): Reply {
  const { context, principal, body } = request;
  const { id, key } = idOf(request);
  requireAllowed(context, principal, { action: `${TYPE}/write`, scope: id });
  const before = context.state.get(STACKS, key);
  requireAtRest(before);
  const input = inputOf(body);
  const location = textAt(body, "location");
  if (part(request, "group") === "" && location === "")
    throw badRequest("LocationRequired", "The location property is required for this definition.");
  check(request, input);
  const tags = body["tags"];
  const stack: StackDocument = {
    id,
    name: part(request, "name"),
    location: location === "" ? null : location,
    tags: typeof tags === "object" && tags !== null ? { ...(tags as Record<string, string>) } : {},
    input,
    principal,
    correlationId: newCorrelationId(),
    deploymentId: before?.deploymentId ?? null,
    state: "creating",
    task: { kind: "apply" },
    resources: before?.resources ?? [],
    detachedResources: [],
    deletedResources: [],
    failedResources: [],
    error: null,
    outputs: before?.outputs ?? null,
    startedMs: context.clock(),
    endedMs: null,
    createdMs: before?.createdMs ?? context.clock(),
  };
  context.state.put(STACKS, key, stack);
  context.inBackground(runStack(context, key));
  return {
    status: before === null ? 201 : 200,
    body: stackBody(context, stack),
    headers: beginPolling(context, { scope: scopeOf(id), follows: key, kind: "status" }),
  };
}

function remove(request: ArmRequest): Reply {
  const { context, principal, query } = request;
  const { id, key } = idOf(request);
  requireAllowed(context, principal, { action: `${TYPE}/delete`, scope: id });
  const stack = context.state.get(STACKS, key);
  if (stack === null) return { status: 204 };
  requireAtRest(stack);
  const resources = query.get("unmanageaction.resources") === "delete" ? "delete" : "detach";
  const groups = query.get("unmanageaction.resourcegroups") === "delete" ? "delete" : "detach";
  context.state.put(STACKS, key, {
    ...stack,
    principal,
    state: "deleting",
    startedMs: context.clock(),
    endedMs: null,
    error: null,
    failedResources: [],
    task: { kind: "delete", resources, resourceGroups: groups },
  });
  context.inBackground(runStack(context, key));
  return {
    status: 202,
    headers: beginPolling(context, { scope: scopeOf(id), follows: key, kind: "result" }),
  };
}

function list(request: ArmRequest): Reply {
  const { context, principal } = request;
  const prefix = idOf(request, "").id;
  requireAllowed(context, principal, { action: `${TYPE}/read`, scope: scopeOf(prefix) });
  const all = context.state.list(STACKS, { prefix: prefix.toLowerCase() });
  return listReply(all.map(({ document }) => stackBody(context, document)));
}

function validate(request: ArmRequest): Reply {
  const { context, principal, body } = request;
  const { id } = idOf(request);
  requireAllowed(context, principal, { action: `${TYPE}/validate/action`, scope: id });
  const input = inputOf(body);
  const validatedResources = check(request, input).map((one) => ({ id: one }));
  const { actionOnUnmanage, denySettings } = input;
  const properties = {
    actionOnUnmanage,
    denySettings,
    correlationId: newCorrelationId(),
    validatedResources,
  };
  return { status: 200, body: { id, name: part(request, "name"), type: TYPE, properties } };
}

/** What a deployment of the stack's template would be refused for. @throws ArmRefusal */
function check(request: ArmRequest, input: StackInput): readonly string[] {
  const { context, principal } = request;
  const at = parseResourceId(input.deploymentScope ?? scopeOf(idOf(request).id));
  const planned = {
    name: part(request, "name"),
    scope: {
      subscriptionId: part(request, "subscription").toLowerCase(),
      resourceGroup: at?.resourceGroup ?? null,
    },
    input: {
      mode: "Incremental" as const,
      template: input.template,
      ...(input.parameters === undefined ? {} : { parameters: input.parameters }),
    },
  };
  const plan = planDeployment(context, planned);
  return preflight(context, { planned, plan, principal }).map(({ id }) => id);
}

function inputOf(body: Json): StackInput {
  const properties = objectAt(body, "properties");
  const given = Object.fromEntries(
    Object.entries(properties).filter(([, value]) => value !== null && value !== undefined),
  );
  const parsed = stackInputSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw badRequest(
    "DeploymentStackInvalidRequestContent",
    `The request content was invalid: 'properties.${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}'.`,
  );
}

function requireAtRest(stack: StackDocument | null): void {
  if (stack === null || (isStackAtRest(stack.state) && stack.task === null)) return;
  throw new ArmRefusal(409, "DeploymentStackInNonTerminalState", {
    message: `The deployment stack '${stack.name}' has not reached a terminal state: it is '${stack.state}'. Wait until its last operation has ended.`,
  });
}

function idOf(
  request: ArmRequest,
  name = part(request, "name"),
): { readonly id: string; readonly key: string } {
  const { context, parts } = request;
  const subscriptionId = part(request, "subscription").toLowerCase();
  const { group } = parts;
  const known =
    group === undefined
      ? null
      : context.state.get(RESOURCES, groupIdOf(subscriptionId, group).toLowerCase());
  if (group !== undefined && known === null) throw groupNotFound(group);
  const scope =
    known === null ? `/subscriptions/${subscriptionId}` : groupIdOf(subscriptionId, known.name);
  const id = makeId(scope, TYPE, name);
  return { id, key: id.toLowerCase() };
}

function scopeOf(id: string): string {
  return id.slice(0, id.toLowerCase().lastIndexOf("/providers/"));
}

function find(request: ArmRequest): StackDocument | null {
  const { context, principal } = request;
  const { id, key } = idOf(request);
  requireAllowed(context, principal, { action: `${TYPE}/read`, scope: id });
  return context.state.get(STACKS, key);
}

function required(request: ArmRequest): StackDocument {
  const stack = find(request);
  if (stack !== null) return stack;
  throw new ArmRefusal(404, "DeploymentStackNotFound", {
    message: `The Deployment stack '${part(request, "name")}' was not found.`,
  });
}

/** @see Microsoft.Resources deploymentStacks 2024-03-01, DeploymentStack */
function stackBody({ clock }: ArmContext, stack: StackDocument): Json {
  const { id, name, location, tags, input, state, error, outputs } = stack;
  const { mode } = input.denySettings;
  const denyStatus = mode === "none" ? "none" : mode;
  const { template: _template, parameters, ...settings } = input;
  return {
    id,
    name,
    type: TYPE,
    ...(location === null ? {} : { location }),
    tags,
    systemData: { createdAt: new Date(stack.createdMs).toISOString() },
    properties: {
      ...settings,
      parameters: parameters ?? {},
      provisioningState: state,
      correlationId: stack.correlationId,
      ...(stack.deploymentId === null ? {} : { deploymentId: stack.deploymentId }),
      duration: durationOf((stack.endedMs ?? clock()) - stack.startedMs),
      resources: stack.resources.map((one) => ({ ...one, status: "managed", denyStatus })),
      detachedResources: stack.detachedResources,
      deletedResources: stack.deletedResources,
      failedResources: stack.failedResources,
      ...(outputs === null ? {} : { outputs }),
      ...(error === null ? {} : { error }),
    },
  };
}
