import type { ArmObject, ArmResource, ArmTemplate, ArmValue } from "./arm/resource.ts";
import type { AzureSection } from "./config/azure-section.ts";

/** A document of Terraform's JSON syntax. @see developer.hashicorp.com/terraform/language/syntax/json */
export type TerraformDocument = ArmObject;

type Names = {
  readonly section: AzureSection;
  /** Terraform's name of each resource, by its ARM id with what stands in `resourceId()`. */
  readonly byId: ReadonlyMap<string, string>;
};

const RESOURCE_ID = /resourceId\('([^']+)'((?:, '[^']+')+)\)/;

/**
 * The template as Terraform's azapi provider takes it: one block a resource, the same bodies and API
 * versions. Nested deployments stay deployments. Pure.
 * @see registry.terraform.io/providers/Azure/azapi, azapi_resource
 */
export function toTerraform(template: ArmTemplate, section: AzureSection): TerraformDocument {
  const byId = new Map(
    template.resources.map((one, index) => [idKeyOf(one), labelOf(one, index)] as const),
  );
  const names: Names = { section, byId };
  const blocks = template.resources.map(
    (one, index) => [labelOf(one, index), blockOf(one, names)] as const,
  );
  return {
    terraform: {
      required_version: ">= 1.5.0",
      required_providers: { azapi: { source: "Azure/azapi", version: "~> 2.0" } },
    },
    provider: {
      azapi: { subscription_id: section.subscription, tenant_id: section.tenant },
    },
    resource: {
      azapi_resource: {
        group: {
          type: "Microsoft.Resources/resourceGroups@2025-04-01",
          parent_id: `/subscriptions/${section.subscription}`,
          name: section.resourceGroup,
          location: section.region,
          tags: section.tags,
        },
        ...Object.fromEntries(blocks),
      },
    },
    output: Object.fromEntries(
      Object.entries(template.outputs).map(([name, { value }]) => [
        name,
        { value: convert(value, names) },
      ]),
    ),
  };
}

function blockOf(one: ArmResource, names: Names): ArmObject {
  const { identity, sku, kind, properties } = one;
  const parts = one.name.split("/");
  const exported = exportedPaths(one, names);
  return {
    type: `${one.type}@${one.apiVersion}`,
    parent_id: parentOf(one, names),
    name: parts.at(-1) ?? "",
    ...(one.location === undefined ? {} : { location: one.location }),
    ...(one.tags === undefined ? {} : { tags: one.tags }),
    ...(identity === undefined ? {} : { identity: [identityBlock(identity, names)] }),
    body: {
      ...(sku === undefined ? {} : { sku }),
      ...(kind === undefined ? {} : { kind }),
      properties: convert(properties, names),
    },
    ...(exported.length === 0 ? {} : { response_export_values: exported }),
    ...dependencies(one, names),
  };
}

/** The resource that this one is a part or an extension of; otherwise its group. */
function parentOf(one: ArmResource, names: Names): ArmValue {
  if (one.scope !== undefined) return convert(one.scope, names);
  const types = one.type.split("/");
  if (types.length > 2) {
    const parent = { type: types.slice(0, -1).join("/"), names: one.name.split("/").slice(0, -1) };
    return idText(parent.type, parent.names, names);
  }
  if (one.subscriptionId !== undefined)
    return `/subscriptions/${one.subscriptionId}/resourceGroups/${one.resourceGroup ?? ""}`;
  return "${azapi_resource.group.id}";
}

function identityBlock(identity: ArmObject, names: Names): ArmObject {
  const assigned = identity["userAssignedIdentities"];
  return {
    type: convert(identity["type"] ?? "None", names),
    identity_ids: Object.keys(typeof assigned === "object" ? assigned : {}).map((id) =>
      literalText(id, names),
    ),
  };
}

/** A literal id of a resource of the template, as a reference to its block. */
function literalText(id: string, names: Names): string {
  const { subscription, resourceGroup } = names.section;
  const own = `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers/`;
  if (!id.startsWith(own)) return id;
  const [space = "", ...path] = id.slice(own.length).split("/");
  const types = path.filter((_, index) => index % 2 === 0);
  const parts = path.filter((_, index) => index % 2 === 1);
  return idText([space, ...types].join("/"), parts, names);
}

function dependencies(one: ArmResource, names: Names): ArmObject {
  const labels = (one.dependsOn ?? []).flatMap((id) => names.byId.get(keyOfExpression(id)) ?? []);
  const references = [...new Set(labels)].map((label) => `azapi_resource.${label}`);
  return references.length === 0 ? {} : { depends_on: references };
}

/** ARM's expressions become references to the block, or the literal id of what is there already. */
function convert(value: ArmValue, names: Names): ArmValue {
  if (typeof value === "string") return convertText(value, names);
  if (Array.isArray(value)) return value.map((one: ArmValue) => convert(one, names));
  if (typeof value !== "object") return value;
  const object = value as ArmObject;
  return Object.fromEntries(
    Object.entries(object).map(([name, member]) => [name, convert(member, names)]),
  );
}

function convertText(text: string, names: Names): string {
  // "${" and "%{" begin expressions of Terraform's: what is meant as text is doubled.
  if (!text.startsWith("[")) return text.replaceAll("${", "$${").replaceAll("%{", "%%{");
  const id = RESOURCE_ID.exec(text);
  const parts = id === null ? null : partsOf(id);
  const fact = /\)\.([\w.]+)\]$/.exec(text)?.[1];
  if (parts === null) return text;
  if (fact === undefined) return idText(parts.type, parts.names, names);
  const label = names.byId.get(keyOf(parts.type, parts.names));
  return label === undefined ? text : `\${azapi_resource.${label}.output.properties.${fact}}`;
}

function idText(type: string, parts: readonly string[], names: Names): string {
  const label = names.byId.get(keyOf(type, parts));
  if (label !== undefined) return `\${azapi_resource.${label}.id}`;
  const [space = "", ...types] = type.split("/");
  const path = types.map((word, index) => `${word}/${parts[index] ?? ""}`).join("/");
  // A part of a resource that has no block of its own: a subnet, a key.
  const parent = names.byId.get(keyOf([space, types[0]].join("/"), parts.slice(0, 1)));
  const rest = types.slice(1).map((word, index) => `/${word}/${parts[index + 1] ?? ""}`);
  if (parent !== undefined) return `\${azapi_resource.${parent}.id}${rest.join("")}`;
  return `\${azapi_resource.group.id}/providers/${space}/${path}`;
}

/** The facts of a resource that others read: azapi keeps only what is named. */
function exportedPaths(one: ArmResource, names: Names): readonly string[] {
  const facts = FACTS[one.type] ?? [];
  return names.byId.has(idKeyOf(one)) ? facts.map((fact) => `properties.${fact}`) : [];
}

const FACTS: Readonly<Record<string, readonly string[]>> = {
  "Microsoft.ManagedIdentity/userAssignedIdentities": ["principalId", "clientId"],
  "Microsoft.ContainerService/managedClusters": ["oidcIssuerProfile.issuerURL"],
  "Microsoft.KeyVault/vaults": ["vaultUri"],
  "Microsoft.KeyVault/managedHSMs": ["hsmUri"],
  "Microsoft.Storage/storageAccounts": ["primaryEndpoints.dfs"],
  "Microsoft.Attestation/attestationProviders": ["attestUri"],
};

function partsOf(match: RegExpExecArray) {
  const names = [...(match[2] ?? "").matchAll(/'([^']+)'/g)].map((one) => one[1] ?? "");
  return { type: match[1] ?? "", names };
}

function keyOfExpression(text: string): string {
  const match = RESOURCE_ID.exec(text);
  if (match !== null) return keyOf(partsOf(match).type, partsOf(match).names);
  // A role assignment by its literal id: its name is unique.
  const assignment = /\/roleAssignments\/([0-9a-f-]{36})$/.exec(text)?.[1];
  return assignment === undefined
    ? text
    : keyOf("Microsoft.Authorization/roleAssignments", [assignment]);
}

function keyOf(type: string, names: readonly string[]): string {
  return `${type} ${names.join("/")}`.toLowerCase();
}

function idKeyOf({ type, name, scope }: ArmResource): string {
  const isShared = type === "Microsoft.Insights/diagnosticSettings";
  return keyOf(type, [isShared ? `${name} ${scope ?? ""}` : name]);
}

/** A label of Terraform's: letters, digits and '_'; the place in the template makes it unique. */
function labelOf({ type, name }: ArmResource, index: number): string {
  const words = `${type.split("/").at(-1) ?? ""}_${name}`.replace(/[^A-Za-z0-9]+/g, "_");
  const isOpaque = type === "Microsoft.Authorization/roleAssignments" || name === "ppml";
  return isOpaque ? `${type.split("/").at(-1) ?? ""}_${index + 1}` : words.toLowerCase();
}
