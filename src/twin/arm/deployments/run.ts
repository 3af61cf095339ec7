import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { TwinPrincipal } from "../../service.ts";
import { RESOURCES } from "../../state-kinds.ts";
import { removeAll } from "../delete-resource.ts";
import { ArmRefusal, asArmError, notInTwin, resourceNotFound } from "../refusal.ts";
import type { ArmError } from "../refusal.ts";
import { groupIdOf, isType, makeId, parseResourceId } from "../resource-id.ts";
import { putGroup } from "../resource-groups.ts";
import { putResource } from "../resources.ts";
import type { RuntimeFunctions } from "../template/evaluate.ts";
import { bodyOf } from "../template/expand.ts";
import type { PlannedResource } from "../template/expand.ts";
import { requireAllowed } from "../authorize.ts";
import { typeSpec } from "../type-table.ts";
import { textAt } from "../type-spec.ts";
import type { ArmContext, Json } from "../type-spec.ts";
import { DEPLOYMENTS, isAtRest } from "./documents.ts";
import type { DeploymentDocument } from "./documents.ts";
import { beginOperation } from "./operations.ts";
import { nestedDeployment, outputsOf, planDeployment, withRuntime } from "./plan.ts";
import type { Plan } from "./plan.ts";

const GROUP = "Microsoft.Resources/resourceGroups";

/** Runs a deployment that the state has to its end, which the document then says. Never throws. */
export async function runDeployment(context: ArmContext, key: string): Promise<DeploymentDocument> {
  const { state, clock } = context;
  const change = (changes: Partial<DeploymentDocument>): DeploymentDocument =>
    state.transaction(() => {
      const document = state.get(DEPLOYMENTS, key);
      if (document === null) throw resourceNotFound(key);
      // A cancel that came meanwhile stays.
      if (document.state === "Canceled") return document;
      const changed = { ...document, ...changes };
      state.put(DEPLOYMENTS, key, changed);
      return changed;
    });
  try {
    const document = change({ state: "Running" });
    const { errors, made, plan } = await runSteps(context, key, document);
    const outputResources = made.map(({ id }) => id);
    if (errors.length > 0)
      return change({
        state: "Failed",
        endedMs: clock(),
        outputResources,
        error: { ...deploymentFailed(document, errors) },
      });
    if (document.input.mode === "Complete") await removeOthers(context, document, plan);
    return change({
      state: "Succeeded",
      endedMs: clock(),
      outputResources,
      outputs: { ...outputsOf(plan) },
    });
  } catch (error) {
    const known = asArmError(error);
    if (known === null) context.log(`arm failed in ${key}: ${String(error)}`);
    const failure = known ?? { code: "InternalServerError", message: "the double failed" };
    return change({ state: "Failed", endedMs: clock(), error: { ...failure } });
  }
}

type Steps = {
  readonly errors: readonly ArmError[];
  readonly made: readonly PlannedResource[];
  readonly plan: Plan;
};

/** Step after step: what has all it depends on goes together, as ARM does it side by side. */
async function runSteps(
  context: ArmContext,
  key: string,
  document: DeploymentDocument,
): Promise<Steps> {
  const there = new Set(context.state.list(RESOURCES).map(({ id }) => id));
  const runtime = runtimeOf(context, document.principal);
  const plan = withRuntime(planDeployment(context, document), runtime);
  const before = closures(plan.resources);
  const done = new Set<string>();
  const errors: ArmError[] = [];
  const made: PlannedResource[] = [];
  let left = [...plan.resources];
  while (left.length > 0 && errors.length === 0) {
    if (context.paceMs > 0) await sleep(context.paceMs);
    if (isCanceled(context, key)) break;
    const ready = left.filter(({ dependsOn }) => dependsOn.every((one) => done.has(one)));
    if (ready.length === 0) throw circular(left);
    left = left.filter((resource) => !ready.includes(resource));
    for (const resource of ready) {
      const own = resource.id.toLowerCase();
      // What was there before, and what this one waits for; not what happens to be made already.
      const isVisible = (one: string): boolean =>
        there.has(one) || before.get(own)?.has(one) === true;
      const seen = limited(runtime, isVisible);
      const step = { document, resource, isVisible, plan: withRuntime(plan, seen) };
      const error = await runStep(context, step);
      if (error === null) {
        done.add(own);
        made.push(resource);
      } else errors.push(error);
    }
  }
  return { errors, made, plan };
}

type Step = {
  readonly document: DeploymentDocument;
  readonly resource: PlannedResource;
  readonly isVisible: (key: string) => boolean;
  readonly plan: Plan;
};

async function runStep(context: ArmContext, step: Step): Promise<ArmError | null> {
  const { document, resource } = step;
  const operation = beginOperation(context, document, resource);
  try {
    const isNew = await make(context, step);
    operation.end({ statusCode: isNew ? "Created" : "OK", error: null });
    return null;
  } catch (error) {
    const known = asArmError(error);
    if (known === null) throw error;
    operation.end({ statusCode: statusText(error), error: known });
    return { ...known, target: resource.id };
  }
}

async function make(context: ArmContext, step: Step): Promise<boolean> {
  const { document, resource, isVisible, plan } = step;
  const { principal } = document;
  if (resource.nested !== null) return makeNested(context, step);
  const body: Json = bodyOf(resource, plan.environment);
  const id = parseResourceId(resource.id);
  if (id === null) throw resourceNotFound(resource.id);
  if (isType(resource.type, GROUP)) {
    const { subscriptionId } = document.scope;
    return putGroup(context, { subscriptionId, name: resource.name, body, principal }).isNew;
  }
  const { apiVersion } = resource;
  return (await putResource(context, { id, apiVersion, body, principal, isVisible })).isNew;
}

async function makeNested(context: ArmContext, step: Step): Promise<boolean> {
  const { document, resource, plan } = step;
  const inner = nestedDeployment({ ...resource, body: bodyOf(resource, plan.environment) });
  const key = resource.id.toLowerCase();
  context.state.put(DEPLOYMENTS, key, {
    ...document,
    id: resource.id,
    name: inner.name,
    scope: inner.scope,
    input: inner.input,
    isInner: true,
    state: "Accepted",
    startedMs: context.clock(),
    endedMs: null,
    error: null,
    outputs: null,
    outputResources: [],
  });
  const ended = await runDeployment(context, key);
  if (ended.state === "Succeeded") return true;
  const details = (ended.error?.["details"] ?? []) as readonly ArmError[];
  throw new ArmRefusal(409, "DeploymentFailed", {
    message: textAt(ended.error ?? {}, "message"),
    details,
  });
}

/** reference() and list*() over the state, with the rights of who deploys. */
function runtimeOf(context: ArmContext, principal: TwinPrincipal): RuntimeFunctions {
  const documentOf = (id: string) => {
    const found = context.state.get(RESOURCES, id.toLowerCase());
    if (found === null) throw resourceNotFound(id);
    return found;
  };
  return {
    reference: (id, { full }) => {
      const nested = context.state.get(DEPLOYMENTS, id.toLowerCase());
      if (nested !== null)
        return { outputs: nested.outputs ?? {}, provisioningState: nested.state };
      const found = documentOf(id);
      requireAllowed(context, principal, { action: `${found.type}/read`, scope: found.id });
      return full ? found : found.properties;
    },
    list: (action, id) => {
      const found = documentOf(id);
      const run = typeSpec(found.type)?.actions?.[action.toLowerCase()];
      if (run === undefined) throw notInTwin(`${action} of ${found.type}`);
      requireAllowed(context, principal, {
        action: `${found.type}/${action}/action`,
        scope: found.id,
      });
      return run(found, context);
    },
  };
}

/** Only of what a step may see. */
function limited(runtime: RuntimeFunctions, isVisible: (key: string) => boolean): RuntimeFunctions {
  const require = (id: string): void => {
    if (!isVisible(id.toLowerCase())) throw resourceNotFound(id);
  };
  return {
    reference: (id, options) => {
      require(id);
      return runtime.reference(id, options);
    },
    list: (action, id) => {
      require(id);
      return runtime.list(action, id);
    },
  };
}

/** For each resource all that it waits for, directly or not. */
function closures(resources: readonly PlannedResource[]): ReadonlyMap<string, ReadonlySet<string>> {
  const direct = new Map(resources.map(({ id, dependsOn }) => [id.toLowerCase(), dependsOn]));
  const all = new Map<string, ReadonlySet<string>>();
  for (const key of direct.keys()) {
    const seen = new Set<string>();
    const queue = [...(direct.get(key) ?? [])];
    for (let one = queue.pop(); one !== undefined; one = queue.pop()) {
      if (seen.has(one)) continue;
      seen.add(one);
      queue.push(...(direct.get(one) ?? []));
    }
    all.set(key, seen);
  }
  return all;
}

/** Mode Complete: what the group has and the template has not is deleted. */
async function removeOthers(
  context: ArmContext,
  document: DeploymentDocument,
  plan: Plan,
): Promise<void> {
  const { scope } = document;
  if (scope.resourceGroup === null) return;
  const wanted = new Set(plan.resources.map(({ id }) => id.toLowerCase()));
  const prefix = `${groupIdOf(scope.subscriptionId, scope.resourceGroup).toLowerCase()}/`;
  const others = context.state
    .list(RESOURCES, { prefix })
    .filter(({ id }) => parseResourceId(id)?.parent === null && !wanted.has(id))
    .filter(({ id }) => parseResourceId(id)?.isExtension === false);
  await removeAll(
    context,
    others.map(({ id }) => id),
  );
}

function isCanceled({ state }: ArmContext, key: string): boolean {
  const document = state.get(DEPLOYMENTS, key);
  return document === null || isAtRest(document.state);
}

function circular(left: readonly PlannedResource[]): ArmRefusal {
  const names = left.map(({ type, name }) => `${type}/${name}`).join(", ");
  return new ArmRefusal(400, "InvalidTemplate", {
    message: `Deployment template validation failed: 'Circular dependency detected on resource: '${names.slice(0, 500)}'. Please see https://aka.ms/arm-syntax-resources for usage details.'.`,
  });
}

/** @see learn.microsoft.com/azure/azure-resource-manager/troubleshooting/find-error-code */
export function deploymentFailed(
  { id }: Pick<DeploymentDocument, "id">,
  details: readonly ArmError[],
): ArmError {
  return {
    code: "DeploymentFailed",
    target: id,
    message:
      "At least one resource deployment operation failed. Please list deployment operations for details. Please see https://aka.ms/arm-deployment-operations for usage details.",
    details,
  };
}

function statusText(error: unknown): string {
  const status = error instanceof ArmRefusal ? error.status : 500;
  const names: Readonly<Record<number, string>> = {
    400: "BadRequest",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
  };
  return names[status] ?? "InternalServerError";
}

/** The id of a deployment of a scope. */
export function deploymentId(
  { subscriptionId, resourceGroup }: DeploymentDocument["scope"],
  name: string,
): string {
  const base =
    resourceGroup === null
      ? `/subscriptions/${subscriptionId}`
      : groupIdOf(subscriptionId, resourceGroup);
  return makeId(base, "Microsoft.Resources/deployments", name);
}

/** A new correlation id. */
export function newCorrelationId(): string {
  return randomUUID();
}
