import { unreachable } from "../../../base/index.ts";
import { invalidTemplate, notInTwin } from "../refusal.ts";
import { groupIdOf, makeId } from "../resource-id.ts";
import { isExpression, parseExpression } from "./expression.ts";
import type { Expression } from "./expression.ts";
import { textOf, VALUE_FUNCTIONS } from "./functions.ts";
import type { Value } from "./functions.ts";

/** Where a template is deployed. */
export type DeploymentScope = {
  readonly subscriptionId: string;
  /** null for a deployment of the subscription. */
  readonly resourceGroup: string | null;
};

/** What an expression may ask of the world; null where it is not known yet (in a what-if). */
export type RuntimeFunctions = {
  readonly reference: (id: string, options: { readonly full: boolean }) => Value;
  /** listKeys and the like: the action's name and the resource's id. */
  readonly list: (action: string, id: string) => Value;
};

/** What expressions are evaluated with. */
export type Environment = {
  readonly parameters: Readonly<Record<string, Value>>;
  /** As the template has them: evaluated when they are used. */
  readonly variables: Readonly<Record<string, Value>>;
  readonly scope: DeploymentScope;
  readonly deploymentName: string;
  /** What subscription(), resourceGroup() and tenant() give. */
  readonly facts: {
    readonly subscription: Value;
    readonly resourceGroup: Value;
    readonly tenant: Value;
  };
  readonly runtime: RuntimeFunctions | null;
};

/** A value with what could not be evaluated left as the text of its expression. */
export type Evaluated = { readonly value: Value; readonly isWhole: boolean };

/** Thrown inside an expression that asks of the world before it is known. */
class NotKnownYet extends Error {
  override readonly name = "NotKnownYet";
}

const MAX_VARIABLE_DEPTH = 32;

/** Evaluates every expression in a value. @throws ArmRefusal InvalidTemplate */
export function evaluate(value: Value, environment: Environment): Evaluated {
  let isWhole = true;
  const walk = (node: Value): Value => {
    if (typeof node === "string") {
      if (node.startsWith("[[")) return node.slice(1);
      if (!isExpression(node)) return node;
      try {
        return evaluateExpression(parseExpression(node), environment, 0);
      } catch (error) {
        if (!(error instanceof NotKnownYet)) throw error;
        isWhole = false;
        return node;
      }
    }
    if (Array.isArray(node)) return node.map(walk);
    if (typeof node === "object" && node !== null)
      // Names of members are expressions too: those of identities are.
      return Object.fromEntries(
        Object.entries(node).map(([name, child]) => [String(walk(name)), walk(child)]),
      );
    return node;
  };
  return { value: walk(value), isWhole };
}

/** Evaluates what has to be known at once, as names are. @throws ArmRefusal InvalidTemplate */
export function evaluateNow(value: Value, environment: Environment): Value {
  const evaluated = evaluate(value, environment);
  if (evaluated.isWhole) return evaluated.value;
  throw invalidTemplate(
    `The template function 'reference' is not expected at this location: ${JSON.stringify(value).slice(0, 200)}`,
  );
}

function evaluateExpression(
  expression: Expression,
  environment: Environment,
  depth: number,
): Value {
  if (depth > MAX_VARIABLE_DEPTH)
    throw invalidTemplate("variables refer to each other in a circle");
  switch (expression.kind) {
    case "literal":
      return expression.value;
    case "member":
      return memberOf(evaluateExpression(expression.of, environment, depth), expression.name);
    case "index": {
      const at = evaluateExpression(expression.at, environment, depth);
      const of = evaluateExpression(expression.of, environment, depth);
      return Array.isArray(of) ? (of[Number(at)] as Value) : memberOf(of, textOf(at));
    }
    case "call":
      return call(expression, environment, depth);
    default:
      return unreachable(expression);
  }
}

function call(
  { name, args }: Expression & { readonly kind: "call" },
  environment: Environment,
  depth: number,
): Value {
  const lower = name.toLowerCase();
  const at = (index: number): Value => {
    const argument = args[index];
    return argument === undefined
      ? undefined
      : evaluateExpression(argument, environment, depth + 1);
  };
  // Only the branch that is taken is evaluated.
  if (lower === "if") return at(0) === true ? at(1) : at(2);
  if (lower === "parameters") return named(environment.parameters, textOf(at(0)), "parameter");
  if (lower === "variables") {
    const variable = named(environment.variables, textOf(at(0)), "variable");
    return evaluateVariable(variable, environment, depth);
  }
  const values = args.map((_, index) => at(index));
  const known = VALUE_FUNCTIONS[lower];
  if (known !== undefined) return known(values);
  const place = placeFunction(lower, values, environment);
  if (place !== undefined) return place;
  if (lower === "reference") {
    const { runtime } = environment;
    if (runtime === null) throw new NotKnownYet();
    const id = absoluteId(textOf(values[0]), environment);
    return runtime.reference(id, { full: values[2] === "Full" });
  }
  if (/^list[a-z]+$/.test(lower)) {
    if (environment.runtime === null) throw new NotKnownYet();
    return environment.runtime.list(name, absoluteId(textOf(values[0]), environment));
  }
  throw notInTwin(`the template function '${name.slice(0, 60)}'`);
}

function placeFunction(lower: string, values: readonly Value[], environment: Environment): Value {
  const { scope, facts } = environment;
  switch (lower) {
    case "resourceid":
      return resourceId(values.map(textOf), environment);
    case "subscriptionresourceid":
      return idIn(`/subscriptions/${scope.subscriptionId}`, values.map(textOf));
    case "tenantresourceid":
      return idIn("", values.map(textOf));
    case "extensionresourceid":
      return idIn(textOf(values[0]), values.slice(1).map(textOf));
    case "subscription":
      return facts.subscription;
    case "resourcegroup":
      if (scope.resourceGroup === null)
        throw invalidTemplate("The template function 'resourceGroup' is not valid at this scope");
      return facts.resourceGroup;
    case "tenant":
      return facts.tenant;
    case "deployment":
      return { name: environment.deploymentName };
    case "environment":
      return ENVIRONMENT;
    default:
      return undefined;
  }
}

const ENVIRONMENT = {
  name: "AzureCloud",
  resourceManager: "https://management.azure.com/",
  authentication: { loginEndpoint: "https://login.microsoftonline.com/" },
  suffixes: { keyvaultDns: ".vault.azure.net", storage: "core.windows.net" },
};

/** resourceId([subscription], [group], type, name...): the parts before the type are told by their form. */
function resourceId(parts: readonly string[], { scope }: Environment): string {
  const at = parts.findIndex((part) => part.includes("/"));
  if (at === -1 || at > 2) throw invalidTemplate("Unable to evaluate the function 'resourceId'");
  const before = parts.slice(0, at);
  const group = before.at(-1) ?? scope.resourceGroup;
  const subscriptionId = before.length === 2 ? (before[0] ?? "") : scope.subscriptionId;
  const base =
    group === null ? `/subscriptions/${subscriptionId}` : groupIdOf(subscriptionId, group);
  return idIn(base, parts.slice(at));
}

function idIn(scope: string, [type = "", ...names]: readonly string[]): string {
  const all = names.flatMap((name) => name.split("/"));
  if (all.length !== type.split("/").length - 1)
    throw invalidTemplate(
      `Unable to evaluate the function 'resourceId': the type '${type}' has another number of segments than the names '${names.join("/")}'`,
    );
  return makeId(scope, type, all.join("/"));
}

/** A resource's id as reference() takes it: whole, or a name of the template, which is not done. */
function absoluteId(text: string, { scope }: Environment): string {
  if (text.startsWith("/")) return text;
  const [provider = "", ...rest] = text.split("/");
  if (provider.includes(".") && rest.length >= 2) {
    const base =
      scope.resourceGroup === null
        ? `/subscriptions/${scope.subscriptionId}`
        : groupIdOf(scope.subscriptionId, scope.resourceGroup);
    return `${base}/providers/${text}`;
  }
  throw notInTwin(`reference() of a bare name ('${text.slice(0, 60)}'): give the resource's id`);
}

function evaluateVariable(value: Value, environment: Environment, depth: number): Value {
  if (depth > MAX_VARIABLE_DEPTH)
    throw invalidTemplate("variables refer to each other in a circle");
  if (typeof value === "string" && isExpression(value))
    return evaluateExpression(parseExpression(value), environment, depth + 1);
  if (typeof value === "string" && value.startsWith("[[")) return value.slice(1);
  if (Array.isArray(value)) return value.map((one) => evaluateVariable(one, environment, depth));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [key, evaluateVariable(one, environment, depth)]),
    );
  return value;
}

function named(values: Readonly<Record<string, Value>>, name: string, noun: string): Value {
  const key = Object.keys(values).find((one) => one.toLowerCase() === name.toLowerCase());
  if (key === undefined) throw invalidTemplate(`The template ${noun} '${name}' is not found`);
  return values[key];
}

function memberOf(value: Value, name: string): Value {
  if (typeof value === "object" && value !== null) {
    const key = Object.keys(value).find((one) => one.toLowerCase() === name.toLowerCase());
    if (key !== undefined) return (value as Readonly<Record<string, Value>>)[key];
  }
  throw invalidTemplate(
    `The language expression property '${name}' doesn't exist, available properties are '${Object.keys(Object(value)).join(", ").slice(0, 200)}'`,
  );
}
