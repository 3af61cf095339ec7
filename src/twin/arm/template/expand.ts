import { z } from "zod";
import { invalidTemplate, notInTwin } from "../refusal.ts";
import { groupIdOf, makeId, parseResourceId } from "../resource-id.ts";
import { evaluate, evaluateNow } from "./evaluate.ts";
import type { DeploymentScope, Environment } from "./evaluate.ts";
import type { Value } from "./functions.ts";

const MAX_RESOURCES = 800;
const DEPLOYMENTS = "microsoft.resources/deployments";
const GROUPS = "microsoft.resources/resourcegroups";

const parameterSchema = z.strictObject({
  type: z.string(),
  defaultValue: z.unknown().optional(),
  allowedValues: z.array(z.unknown()).optional(),
  minLength: z.int().optional(),
  maxLength: z.int().optional(),
  minValue: z.int().optional(),
  maxValue: z.int().optional(),
  metadata: z.unknown().optional(),
});

const resourceSchema = z.looseObject({
  type: z.string(),
  apiVersion: z.string(),
  name: z.string(),
  condition: z.union([z.boolean(), z.string()]).optional(),
  dependsOn: z.array(z.string()).optional(),
  scope: z.string().optional(),
  subscriptionId: z.string().optional(),
  resourceGroup: z.string().optional(),
  properties: z.unknown().optional(),
});
type TemplateResource = z.infer<typeof resourceSchema>;

/** A template, in the form that resources are listed in. @see schema.management.azure.com, 2019-04-01 */
export const templateSchema = z.strictObject({
  $schema: z.string(),
  contentVersion: z.string(),
  apiProfile: z.string().optional(),
  metadata: z.unknown().optional(),
  parameters: z.record(z.string(), parameterSchema).optional(),
  variables: z.record(z.string(), z.unknown()).optional(),
  resources: z.array(resourceSchema).max(MAX_RESOURCES),
  outputs: z
    .record(
      z.string(),
      z.strictObject({
        type: z.string(),
        value: z.unknown(),
        condition: z.union([z.boolean(), z.string()]).optional(),
        metadata: z.unknown().optional(),
      }),
    )
    .optional(),
});
export type Template = z.infer<typeof templateSchema>;

/** A resource of a template, with its id, and what must be there before it. */
export type PlannedResource = {
  readonly id: string;
  readonly type: string;
  readonly apiVersion: string;
  readonly name: string;
  /** Small letters. */
  readonly dependsOn: readonly string[];
  /** The members that go into the PUT, as the template has them. */
  readonly source: Readonly<Record<string, Value>>;
  /** The same, evaluated as far as it is known. */
  readonly body: Readonly<Record<string, Value>>;
  /** Whether all of `body` is known. */
  readonly isWhole: boolean;
  /** Where it is deployed: for a nested deployment, its own scope. */
  readonly nested: DeploymentScope | null;
};

/** Members of a template's resource that are not of the resource itself. */
const OUTSIDE: ReadonlySet<string> = new Set([
  "type",
  "apiVersion",
  "name",
  "condition",
  "dependsOn",
  "scope",
  "comments",
  "metadata",
  "subscriptionId",
  "resourceGroup",
]);

/** Reads a template. @throws ArmRefusal InvalidTemplate, or NotImplementedByTwin */
export function parseTemplate(value: unknown): Template {
  const parsed = templateSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join(".") ?? "";
  throw invalidTemplate(
    `${where === "" ? "the template" : where}: ${issue?.message ?? "not valid"}`,
  );
}

/**
 * The values of a template's parameters: given ones, checked, or defaults.
 * @throws ArmRefusal InvalidTemplate
 */
export function parameterValues(
  template: Template,
  given: Readonly<Record<string, Value>>,
  environment: Omit<Environment, "parameters" | "variables">,
): Record<string, Value> {
  const declared = template.parameters ?? {};
  const unknown = Object.keys(given).filter((name) => !(name in declared));
  if (unknown.length > 0)
    throw invalidTemplate(
      `The following parameters were supplied, but do not correspond to any parameters defined in the template: '${unknown.join(", ")}'`,
    );
  const values: Record<string, Value> = {};
  for (const [name, parameter] of Object.entries(declared)) {
    if (name in given) values[name] = given[name];
    else if (parameter.defaultValue !== undefined) {
      const context = { ...environment, parameters: values, variables: {} };
      values[name] = evaluateNow(parameter.defaultValue, context);
    } else throw invalidTemplate(`The value for the template parameter '${name}' is not provided`);
    checkParameter(name, parameter, values[name]);
  }
  return values;
}

/** The template's resources with their ids and dependencies. @throws ArmRefusal InvalidTemplate */
export function planResources(
  template: Template,
  environment: Environment,
): readonly PlannedResource[] {
  const planned = template.resources
    .filter((resource) => isWanted(resource.condition, environment))
    .map((resource) => planResource(resource, environment));
  const ids = new Set<string>();
  for (const { id, type, name } of planned) {
    if (ids.has(id.toLowerCase()))
      throw invalidTemplate(
        `The resource '${type}/${name}' is defined multiple times in a template. Please see https://aka.ms/arm-syntax-resources for usage details`,
      );
    ids.add(id.toLowerCase());
  }
  const left = template.resources
    .filter((resource) => !isWanted(resource.condition, environment))
    .map((resource) => idOf(resource, environment).toLowerCase());
  return planned.map((resource) => withDependencies(resource, { ids, left }));
}

function withDependencies(
  resource: PlannedResource,
  known: { readonly ids: ReadonlySet<string>; readonly left: readonly string[] },
): PlannedResource {
  const dependsOn = resource.dependsOn.flatMap((text) => dependency(text, known));
  return { ...resource, dependsOn };
}

/** Whether a condition of a resource or an output holds. */
export function isWanted(condition: Value, environment: Environment): boolean {
  if (condition === undefined) return true;
  const value = evaluateNow(condition, environment);
  return value === true || (typeof value === "string" && value.toLowerCase() === "true");
}

function planResource(resource: TemplateResource, environment: Environment): PlannedResource {
  for (const member of ["copy", "resources", "plan", "existing"])
    if (member in resource) throw notInTwin(`'${member}' in a template's resource`);
  const source = Object.fromEntries(
    Object.entries(resource).filter(([name]) => !OUTSIDE.has(name)),
  );
  const isNested = resource.type.toLowerCase() === DEPLOYMENTS;
  const { value, isWhole } = evaluateSource({ source, isNested }, environment);
  const parsed = parseResourceId(idOf(resource, environment));
  if (parsed === null) throw invalidTemplate(`the name '${resource.name}' does not fit its type`);
  return {
    id: parsed.id,
    type: resource.type,
    apiVersion: String(evaluateNow(resource.apiVersion, environment)),
    name: parsed.name,
    dependsOn: (resource.dependsOn ?? []).map((text) => String(evaluateNow(text, environment))),
    source,
    body: value as Readonly<Record<string, Value>>,
    isWhole,
    nested: isNested ? nestedScope(resource, environment) : null,
  };
}

/** What goes into a resource's PUT, evaluated again with what is known by now. @throws ArmRefusal */
export function bodyOf(
  resource: PlannedResource,
  environment: Environment,
): Readonly<Record<string, Value>> {
  const { source, nested } = resource;
  const { value } = evaluateSource({ source, isNested: nested !== null }, environment);
  return value as Readonly<Record<string, Value>>;
}

/** A nested template is evaluated where it is deployed; only its parameters are this one's. */
function evaluateSource(
  resource: {
    readonly source: Readonly<Record<string, Value>>;
    readonly isNested: boolean;
  },
  environment: Environment,
): { readonly value: Value; readonly isWhole: boolean } {
  const { source, isNested } = resource;
  return isNested ? evaluateNested(source, environment) : evaluate(source, environment);
}

function evaluateNested(
  source: Readonly<Record<string, Value>>,
  environment: Environment,
): { readonly value: Value; readonly isWhole: boolean } {
  const { properties = {}, ...rest } = source;
  const { template, parameters, ...others } = properties as Readonly<Record<string, Value>>;
  const outside = evaluate({ ...rest, parameters: parameters ?? {} }, environment);
  const value = outside.value as Readonly<Record<string, Value>>;
  const { parameters: known, ...top } = value;
  return {
    value: { ...top, properties: { ...others, template, parameters: known } },
    isWhole: outside.isWhole,
  };
}

function nestedScope(resource: TemplateResource, environment: Environment): DeploymentScope {
  const { scope } = environment;
  const subscriptionId =
    resource.subscriptionId === undefined
      ? scope.subscriptionId
      : String(evaluateNow(resource.subscriptionId, environment));
  if (resource.resourceGroup === undefined)
    return {
      subscriptionId,
      resourceGroup: resource.subscriptionId === undefined ? scope.resourceGroup : null,
    };
  return {
    subscriptionId,
    resourceGroup: String(evaluateNow(resource.resourceGroup, environment)),
  };
}

function idOf(resource: TemplateResource, environment: Environment): string {
  const name = String(evaluateNow(resource.name, environment));
  const type = resource.type;
  if (name.split("/").length !== type.split("/").length - 1)
    throw invalidTemplate(
      `The template resource '${name}' for type '${type}' has incorrect segment lengths. A nested resource type must have identical number of segments as its resource name`,
    );
  const { scope } = environment;
  if (type.toLowerCase() === GROUPS) return groupIdOf(scope.subscriptionId, name);
  if (type.toLowerCase() === DEPLOYMENTS) {
    const { subscriptionId, resourceGroup } = nestedScope(resource, environment);
    const base =
      resourceGroup === null
        ? `/subscriptions/${subscriptionId}`
        : groupIdOf(subscriptionId, resourceGroup);
    return makeId(base, type, name);
  }
  const own =
    scope.resourceGroup === null
      ? `/subscriptions/${scope.subscriptionId}`
      : groupIdOf(scope.subscriptionId, scope.resourceGroup);
  if (resource.scope === undefined) return makeId(own, type, name);
  const extended = String(evaluateNow(resource.scope, environment));
  const base = extended.startsWith("/") ? extended : `${own}/providers/${extended}`;
  return makeId(base, type, name);
}

/** A dependency as an id of the template: whole, TYPE/NAME, or the bare name of one resource. */
function dependency(
  text: string,
  known: { readonly ids: ReadonlySet<string>; readonly left: readonly string[] },
): readonly string[] {
  const wanted = text.toLowerCase();
  const fits = (id: string): boolean =>
    id === wanted ||
    (wanted.includes("/") ? id.endsWith(`/providers/${wanted}`) : id.endsWith(`/${wanted}`));
  const found = [...known.ids].filter(fits);
  if (found.length === 1) return found;
  // A condition took it away.
  if (found.length === 0 && known.left.some(fits)) return [];
  throw invalidTemplate(
    `The resource '${text}' is not defined in the template. Please see https://aka.ms/arm-syntax for usage details`,
  );
}

function checkParameter(
  name: string,
  parameter: z.infer<typeof parameterSchema>,
  value: Value,
): void {
  const type = parameter.type.toLowerCase().replace("secure", "");
  const isKind =
    type === "string"
      ? typeof value === "string"
      : type === "int"
        ? Number.isInteger(value)
        : type === "bool"
          ? typeof value === "boolean"
          : type === "array"
            ? Array.isArray(value)
            : typeof value === "object" && value !== null;
  const { allowedValues, minLength, maxLength, minValue, maxValue } = parameter;
  const length = typeof value === "string" || Array.isArray(value) ? value.length : null;
  const fits =
    isKind &&
    (allowedValues === undefined || allowedValues.includes(value)) &&
    (length === null || (length >= (minLength ?? 0) && length <= (maxLength ?? Infinity))) &&
    (typeof value !== "number" ||
      (value >= (minValue ?? -Infinity) && value <= (maxValue ?? Infinity)));
  if (!fits)
    throw invalidTemplate(
      `The provided value for the template parameter '${name}' is not valid: expected type '${parameter.type}' within its bounds`,
    );
}
