import { RESOURCES, SUBSCRIPTIONS } from "../../state-kinds.ts";
import { notInTwin } from "../refusal.ts";
import { groupIdOf } from "../resource-id.ts";
import { evaluate } from "../template/evaluate.ts";
import type { DeploymentScope, Environment, RuntimeFunctions } from "../template/evaluate.ts";
import { isWanted, parameterValues, parseTemplate, planResources } from "../template/expand.ts";
import type { PlannedResource, Template } from "../template/expand.ts";
import type { ArmContext, Json } from "../type-spec.ts";
import { deploymentInputSchema } from "./documents.ts";
import type { DeploymentInput } from "./documents.ts";

/** A deployment whose template was read and evaluated as far as it is known. */
export type Plan = {
  readonly template: Template;
  readonly environment: Environment;
  readonly resources: readonly PlannedResource[];
};

/** What is to be deployed, and where. */
export type Planned = {
  readonly name: string;
  readonly scope: DeploymentScope;
  readonly input: DeploymentInput;
};

const MAX_DEPTH = 5;

/** Reads and evaluates a deployment's template. @throws ArmRefusal InvalidTemplate */
export function planDeployment(context: ArmContext, { name, scope, input }: Planned): Plan {
  const template = parseTemplate(input.template);
  const given = Object.fromEntries(
    Object.entries(input.parameters ?? {}).map(([key, { value }]) => [key, value]),
  );
  const outside = { scope, deploymentName: name, facts: factsOf(context, scope), runtime: null };
  const parameters = parameterValues(template, given, outside);
  const environment = { ...outside, parameters, variables: template.variables ?? {} };
  return { template, environment, resources: planResources(template, environment) };
}

/** The plan, once the world may be asked. */
export function withRuntime(plan: Plan, runtime: RuntimeFunctions): Plan {
  return { ...plan, environment: { ...plan.environment, runtime } };
}

/** A nested deployment as one of its own. @throws ArmRefusal */
export function nestedDeployment(planned: PlannedResource): Planned {
  const { nested, body } = planned;
  const parsed = deploymentInputSchema.safeParse(body["properties"]);
  if (!parsed.success)
    throw notInTwin(
      `this nested deployment (${parsed.error.issues[0]?.path.join(".") ?? ""}: ${parsed.error.issues[0]?.message ?? ""})`,
    );
  if (parsed.data.expressionEvaluationOptions?.scope !== "inner")
    throw notInTwin("a nested template that is evaluated outside: set its scope to inner");
  return {
    name: planned.name,
    scope: nested ?? { subscriptionId: "", resourceGroup: null },
    input: parsed.data,
  };
}

/** Every resource of a plan, those of nested deployments in place of these. @throws ArmRefusal */
export function flatten(context: ArmContext, plan: Plan, depth = 0): readonly PlannedResource[] {
  if (depth > MAX_DEPTH) throw notInTwin("deployments nested deeper than five");
  return plan.resources.flatMap((resource) =>
    resource.nested === null
      ? [resource]
      : flatten(context, planDeployment(context, nestedDeployment(resource)), depth + 1),
  );
}

/** The template's outputs, evaluated. @throws ArmRefusal */
export function outputsOf({ template, environment }: Plan): Json {
  return Object.fromEntries(
    Object.entries(template.outputs ?? {})
      .filter(([, output]) => isWanted(output.condition, environment))
      .map(([name, { type, value }]) => [
        name,
        /^secure/i.test(type) ? { type } : { type, value: evaluate(value, environment).value },
      ]),
  );
}

/** What subscription(), resourceGroup() and tenant() give. */
function factsOf(
  { state, tenantId }: ArmContext,
  { subscriptionId, resourceGroup }: DeploymentScope,
): Environment["facts"] {
  const subscription = state.get(SUBSCRIPTIONS, subscriptionId.toLowerCase());
  const group =
    resourceGroup === null
      ? null
      : state.get(RESOURCES, groupIdOf(subscriptionId, resourceGroup).toLowerCase());
  return {
    subscription: {
      id: `/subscriptions/${subscriptionId}`,
      subscriptionId,
      tenantId,
      displayName: subscription?.displayName ?? "",
    },
    resourceGroup:
      group ??
      (resourceGroup === null
        ? null
        : { id: groupIdOf(subscriptionId, resourceGroup), name: resourceGroup }),
    tenant: { tenantId },
  };
}
