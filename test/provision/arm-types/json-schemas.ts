import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ErrorObject } from "ajv";
import draft04 from "ajv-draft-04";
import type { ArmResource } from "../../../src/provision/index.ts";

const SECTIONS = [
  "resourceDefinitions",
  "extension_resourceDefinitions",
  "unknown_resourceDefinitions",
  "subscription_resourceDefinitions",
];

type Schema = { readonly id: string; readonly [section: string]: unknown };

/** Microsoft's JSON Schemas of ARM resources, ready to check with. */
export type ArmSchemas = {
  readonly ajv: InstanceType<typeof draft04.default>;
  readonly schemas: readonly Schema[];
};

/** Reads every schema of a folder but the one of whole templates. */
export function loadArmSchemas(folder: string): ArmSchemas {
  // The schemas are of draft-04 with formats that nobody defines.
  const ajv = new draft04.default({ strict: false, allErrors: true, validateFormats: false });
  const schemas = readdirSync(folder)
    .filter((name) => !name.includes("deploymentTemplate"))
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Schema)
    // oxlint-disable-next-line oxc/no-map-spread -- the copy is shallow, and there are twelve
    .map((schema) => ({ ...schema, id: schema.id.replace(/#$/, "") }));
  for (const schema of schemas) ajv.addSchema(schema);
  return { ajv, schemas };
}

/** Alarms that are false, each with the reason. */
const FALSE_ALARMS: readonly {
  readonly type: RegExp;
  readonly path: RegExp;
  readonly why: string;
}[] = [
  {
    type: /^Microsoft\.Compute\/virtualMachines$/,
    path: /^\/properties\/hardwareProfile\/vmSize$/,
    why: "the list of sizes is of 2020: no confidential size is in it",
  },
  {
    type: /^Microsoft\.ManagedIdentity\/userAssignedIdentities$/,
    path: /^$/,
    why: "demands properties: {}, which the service does not",
  },
  {
    type: /\/.*\//,
    path: /^\/name$/,
    why: "a child's name stands with its parents' before it, and the rule is of its last part",
  },
];

/** What Microsoft's JSON Schemas say against a resource; null where they do not have it. */
export function checkSchema(
  { ajv, schemas }: ArmSchemas,
  resource: ArmResource,
): readonly string[] | null {
  const [namespace = "", ...types] = resource.type.split("/");
  const schema = schemas.find(
    (one) =>
      one.id.includes(`/${resource.apiVersion}/${namespace}`) &&
      definitionOf(one, types.join("_")) !== null,
  );
  const pointer = schema === undefined ? null : definitionOf(schema, types.join("_"));
  if (schema === undefined || pointer === null) return null;
  const validate = ajv.getSchema(`${schema.id}#/${pointer}`);
  if (validate === undefined) return null;
  if (validate(resource) === true) return [];
  return leaves(validate.errors ?? [])
    .filter(({ instancePath }) => !isFalseAlarm(resource, instancePath))
    .map(({ instancePath, message = "" }) => `${resource.type}${instancePath}: ${message}`);
}

function definitionOf(schema: Schema, name: string): string | null {
  for (const section of SECTIONS) {
    const definitions = schema[section];
    if (typeof definitions === "object" && definitions !== null && name in definitions)
      return `${section}/${name}`;
  }
  return null;
}

function isFalseAlarm({ type }: ArmResource, path: string): boolean {
  return FALSE_ALARMS.some((alarm) => alarm.type.test(type) && alarm.path.test(path));
}

/**
 * Every value may be an expression instead, by `oneOf`: the branch of the expression fails too and
 * tells nothing, and what lies above a fault fails with it.
 */
function leaves(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const told = errors.filter(
    ({ keyword, schemaPath }) =>
      !["oneOf", "anyOf"].includes(keyword) && !schemaPath.includes("definitions/expression"),
  );
  return told.filter(
    ({ instancePath }) => !told.some((other) => other.instancePath.startsWith(`${instancePath}/`)),
  );
}
