import { RESOURCES } from "../../state-kinds.ts";
import { asArmError, resourceNotFound } from "../refusal.ts";
import { DEPLOYMENTS } from "../deployments/documents.ts";
import type { DeploymentDocument } from "../deployments/documents.ts";
import { planDeployment, flatten } from "../deployments/plan.ts";
import { deploymentId, newCorrelationId, runDeployment } from "../deployments/run.ts";
import { deleteResource } from "../delete-resource.ts";
import { deleteGroup } from "../resource-groups.ts";
import { isType, parseResourceId } from "../resource-id.ts";
import type { ArmContext } from "../type-spec.ts";
import { STACKS } from "./stack-documents.ts";
import type { StackDocument } from "./stack-documents.ts";

const GROUP = "Microsoft.Resources/resourceGroups";

type Unmanage = { readonly resources: string; readonly resourceGroups: string };
type Failure = StackDocument["failedResources"][number];

/** Does what a stack's document says is to be done, to its end. Never throws. */
export async function runStack(context: ArmContext, key: string): Promise<void> {
  const { state, clock } = context;
  const stack = state.get(STACKS, key);
  if (stack?.task === null || stack === null) return;
  try {
    if (stack.task.kind === "apply") await applyStack(context, key);
    else await deleteStack(context, key, stack.task);
  } catch (error) {
    const known = asArmError(error);
    if (known === null) context.log(`arm failed in ${key}: ${String(error)}`);
    const failure = known ?? { code: "InternalServerError", message: "the double failed" };
    change(context, key, {
      state: "failed",
      task: null,
      endedMs: clock(),
      error: { ...failure },
    });
  }
}

/** Deploys, and then lets go of or deletes what the template has no more. */
async function applyStack(context: ArmContext, key: string): Promise<void> {
  const stack = change(context, key, { state: "deploying" });
  const deployment = await deploy(context, stack);
  if (deployment.state !== "Succeeded") {
    // What was made is managed, so that it can be deleted; nothing is let go of.
    const made = deployment.outputResources.map((id) => ({ id }));
    change(context, key, {
      state: deployment.state === "Canceled" ? "canceled" : "failed",
      task: null,
      endedMs: context.clock(),
      deploymentId: deployment.id,
      resources: unite(stack.resources, made),
      error: deployment.error ?? { code: "DeploymentFailed", message: "The deployment failed." },
    });
    return;
  }
  const managed = managedBy(context, deployment).map((id) => ({ id }));
  const now = new Set(managed.map(({ id }) => id.toLowerCase()));
  const gone = stack.resources.filter(({ id }) => !now.has(id.toLowerCase()));
  change(context, key, { state: "deletingResources", deploymentId: deployment.id });
  const { actionOnUnmanage } = stack.input;
  const unmanage = {
    resources: actionOnUnmanage.resources,
    resourceGroups: actionOnUnmanage.resourceGroups ?? "detach",
  };
  const done = await letGo(context, { stack, ids: gone.map(({ id }) => id), unmanage });
  const isWhole = done.failed.length === 0;
  change(context, key, {
    state: isWhole ? "succeeded" : "failed",
    task: null,
    endedMs: context.clock(),
    // What could not be deleted stays the stack's, for the next time.
    resources: [...managed, ...done.failed.map(({ id }) => ({ id }))],
    deletedResources: done.deleted.map((id) => ({ id })),
    detachedResources: done.detached.map((id) => ({ id })),
    failedResources: [...done.failed],
    outputs: deployment.outputs,
    error: isWhole ? null : deletionFailed(done.failed),
  });
}

async function deleteStack(context: ArmContext, key: string, unmanage: Unmanage): Promise<void> {
  const stack = change(context, key, { state: "deletingResources" });
  const ids = stack.resources.map(({ id }) => id);
  const done = await letGo(context, { stack, ids, unmanage });
  if (done.failed.length === 0) {
    context.state.remove(STACKS, key);
    return;
  }
  change(context, key, {
    state: "failed",
    task: null,
    endedMs: context.clock(),
    resources: done.failed.map(({ id }) => ({ id })),
    deletedResources: done.deleted.map((id) => ({ id })),
    failedResources: [...done.failed],
    error: deletionFailed(done.failed),
  });
}

async function deploy(context: ArmContext, stack: StackDocument): Promise<DeploymentDocument> {
  const { input } = stack;
  const at = parseResourceId(input.deploymentScope ?? stack.id.split("/providers/")[0] ?? "");
  const subscriptionId = stack.id.split("/")[2] ?? "";
  const scope = { subscriptionId, resourceGroup: at?.resourceGroup ?? null };
  // The stack's time stands in the name, so that each apply has its own; a resumed one goes on with it.
  const stamp = new Date(stack.startedMs).toISOString().replaceAll(/\D/g, "").slice(2, 14);
  const name = `${stack.name.slice(0, 50)}-${stamp}`;
  const id = deploymentId(scope, name);
  context.state.put(DEPLOYMENTS, id.toLowerCase(), {
    id,
    name,
    scope,
    location: stack.location,
    tags: {},
    input: {
      mode: "Incremental",
      template: input.template,
      ...(input.parameters === undefined ? {} : { parameters: input.parameters }),
    },
    principal: stack.principal,
    correlationId: newCorrelationId(),
    isInner: true,
    state: "Accepted",
    startedMs: context.clock(),
    endedMs: null,
    error: null,
    outputs: null,
    outputResources: [],
  });
  return runDeployment(context, id.toLowerCase());
}

/** What a deployment made, those of nested ones too. */
function managedBy(context: ArmContext, deployment: DeploymentDocument): readonly string[] {
  return flatten(context, planDeployment(context, deployment)).map(({ id }) => id);
}

type LetGo = {
  readonly deleted: readonly string[];
  readonly detached: readonly string[];
  readonly failed: readonly Failure[];
};

/** Deletes or detaches; what others still use is tried again while anything goes. */
async function letGo(
  context: ArmContext,
  asked: {
    readonly stack: StackDocument;
    readonly ids: readonly string[];
    readonly unmanage: Unmanage;
  },
): Promise<LetGo> {
  const { ids, unmanage, stack } = asked;
  const isDeleted = (id: string): boolean =>
    (isGroup(id) ? unmanage.resourceGroups : unmanage.resources) === "delete";
  const detached = ids.filter((id) => !isDeleted(id));
  const deleted: string[] = [];
  // Children before parents, groups last.
  let left = ids
    .filter(isDeleted)
    .toSorted((one, other) => rank(other) - rank(one) || other.length - one.length);
  let failed: Failure[] = [];
  for (;;) {
    failed = [];
    const before = left.length;
    for (const id of left) {
      const error = await deleteOne(context, id, stack);
      if (error === null) deleted.push(id);
      else failed.push({ id, error: { ...error } });
    }
    left = failed.map(({ id }) => id);
    if (left.length === 0 || left.length === before) return { deleted, detached, failed };
  }
}

async function deleteOne(
  context: ArmContext,
  id: string,
  { principal }: StackDocument,
): Promise<ReturnType<typeof asArmError>> {
  const parsed = parseResourceId(id);
  if (parsed === null || context.state.get(RESOURCES, parsed.key) === null) return null;
  try {
    if (isGroup(id)) {
      const { subscriptionId, name } = parsed;
      await deleteGroup(context, { subscriptionId: subscriptionId ?? "", name, principal });
    } else await deleteResource(context, { id: parsed, principal });
    return null;
  } catch (error) {
    const known = asArmError(error);
    if (known === null) throw error;
    return known;
  }
}

function change(
  { state }: ArmContext,
  key: string,
  changes: Partial<StackDocument>,
): StackDocument {
  return state.transaction(() => {
    const stack = state.get(STACKS, key);
    if (stack === null) throw resourceNotFound(key);
    const changed = { ...stack, ...changes };
    state.put(STACKS, key, changed);
    return changed;
  });
}

function deletionFailed(failed: readonly Failure[]): Record<string, unknown> {
  return {
    code: "DeploymentStackDeleteResourcesFailed",
    message: `One or more resources could not be deleted. Correlation id: '${newCorrelationId()}'.`,
    details: failed.map(({ id, error }) => ({
      code: String(error["code"]),
      message: String(error["message"]),
      target: id,
    })),
  };
}

function unite(
  one: StackDocument["resources"],
  other: StackDocument["resources"],
): StackDocument["resources"] {
  const known = new Set(one.map(({ id }) => id.toLowerCase()));
  return [...one, ...other.filter(({ id }) => !known.has(id.toLowerCase()))];
}

function isGroup(id: string): boolean {
  return isType(parseResourceId(id)?.type ?? "", GROUP);
}

function rank(id: string): number {
  if (isGroup(id)) return 0;
  const parsed = parseResourceId(id);
  if (parsed?.isExtension === true) return 3;
  return parsed?.parent === null ? 1 : 2;
}
