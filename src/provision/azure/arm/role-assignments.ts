import type { AzureSection } from "../config/azure-section.ts";
import { guidFrom } from "./expressions.ts";
import { type Grant, grantsOf, partId, secretGrants } from "./grants.ts";
import { nestedDeployment } from "./nested.ts";
import { type ArmObject, type ArmResource, resource } from "./resource.ts";
import { dependenciesOn, factOf, literalIdOf } from "./site.ts";

/** The kinds of a principal as ARM names them; with it no lookup of a fresh identity can fail. */
const PRINCIPAL_TYPES = {
  user: "User",
  group: "Group",
  servicePrincipal: "ServicePrincipal",
} as const;

/**
 * The role assignments of the template. Their names follow from scope, role and holder, so that a
 * second deployment changes nothing; those on resources of another group are deployments there.
 */
export function roleAssignments(section: AzureSection): readonly ArmResource[] {
  const grants = grantsOf(section);
  const own = grants.filter(({ on }) => on.group === null);
  const foreign = grants.filter(({ on }) => on.group !== null);
  const groups = new Map<string, Grant[]>();
  for (const grant of foreign) {
    const key = `${grant.on.group?.subscription ?? ""}/${grant.on.group?.name.toLowerCase() ?? ""}`;
    groups.set(key, [...(groups.get(key) ?? []), grant]);
  }
  return [
    ...own.map((grant) => ownAssignment(section, grant)),
    ...[...groups.values()].map((members) => foreignAssignments(section, members)),
  ];
}

function ownAssignment(section: AzureSection, grant: Grant): ArmResource {
  const { on, part, after, to } = grant;
  return resource("Microsoft.Authorization/roleAssignments", {
    name: assignmentName(section, grant),
    scope: part === "" ? on.id : partId(on, part),
    dependsOn: [...dependenciesOn(on, to.kind === "identity" ? to.place : null), ...after],
    properties: assignmentOf(section, grant, principalOf(grant)),
  });
}

function foreignAssignments(section: AzureSection, grants: readonly Grant[]): ArmResource {
  const [first] = grants;
  const group = first?.on.group ?? { subscription: "", name: "" };
  const parameters: Record<string, string> = {};
  const resources = grants.map((grant) => {
    const key = `p${grant.to.kind === "operator" ? grant.to.operator.objectId : grant.to.name}`;
    const parameter = key.replaceAll("-", "_");
    parameters[parameter] = principalOf(grant);
    return resource("Microsoft.Authorization/roleAssignments", {
      name: assignmentName(section, grant),
      scope: `${grant.on.id}${grant.part}`.replace(/^.*?\/providers\//, ""),
      properties: assignmentOf(section, grant, `[parameters('${parameter}')]`),
    });
  });
  return nestedDeployment({
    name: foreignName(section, group),
    group,
    resources,
    parameters,
    dependsOn: grants.flatMap(({ to }) => dependenciesOn(to.kind === "identity" ? to.place : null)),
  });
}

/**
 * What a resource names that needs these grants before it is made: their assignments, or for another
 * group the deployment that makes them.
 */
export function assignmentIds(section: AzureSection, grants: readonly Grant[]): readonly string[] {
  return grants.map((grant) => {
    const { on, part } = grant;
    const group = on.group ?? { subscription: section.subscription, name: section.resourceGroup };
    const base = `/subscriptions/${group.subscription}/resourceGroups/${group.name}/providers`;
    if (on.group !== null)
      return `${base}/Microsoft.Resources/deployments/${foreignName(section, group)}`;
    const target = `${base}/${on.type}/${on.name}${part}`;
    return `${target}/providers/Microsoft.Authorization/roleAssignments/${assignmentName(section, grant)}`;
  });
}

/** Every role that a section gives: its assignment's id, the role's name, and who has it. */
export function assignmentFacts(section: AzureSection): readonly AssignmentFacts[] {
  return [...grantsOf(section), ...secretGrants(section)].map((grant) => {
    const { to, on, part, role } = grant;
    return {
      id: `${literalIdOf(section, on)}${part}/providers/Microsoft.Authorization/roleAssignments/${assignmentName(section, grant)}`,
      role: role.name,
      principal: to.kind === "operator" ? `operator ${to.operator.objectId}` : to.place.name,
    };
  });
}

/** What `assignmentFacts` tells of one. */
export type AssignmentFacts = {
  readonly id: string;
  readonly role: string;
  readonly principal: string;
};

/** A role on a secret, to be given once the secret is there. */
export type SecretRole = {
  readonly identity: string;
  readonly identityId: string;
  readonly secret: string;
  /** The assignment's id: `SCOPE/providers/Microsoft.Authorization/roleAssignments/NAME`. */
  readonly id: string;
  readonly roleDefinitionId: string;
};

/** The roles on secrets that a section gives, each with the id of its assignment. */
export function secretRoles(section: AzureSection): readonly SecretRole[] {
  return secretGrants(section).flatMap((grant) => {
    const { to, on, part, role } = grant;
    if (to.kind !== "identity") return [];
    const scope = `${literalIdOf(section, on)}${part}`;
    return {
      identity: to.name,
      identityId: literalIdOf(section, to.place),
      secret: part.split("/").at(-1) ?? "",
      id: `${scope}/providers/Microsoft.Authorization/roleAssignments/${assignmentName(section, grant)}`,
      roleDefinitionId: `/subscriptions/${section.subscription}/providers/Microsoft.Authorization/roleDefinitions/${role.id}`,
    };
  });
}

type Group = { readonly subscription: string; readonly name: string };

function foreignName({ resourceGroup, prefix }: AzureSection, group: Group): string {
  return `ppml-roles-${guidFrom(resourceGroup, prefix, group.subscription, group.name).slice(0, 8)}`;
}

function principalOf({ to }: Grant): string {
  return to.kind === "operator" ? to.operator.objectId : factOf(to.place, "principalId");
}

function assignmentOf(section: AzureSection, { role, to }: Grant, principalId: string): ArmObject {
  return {
    roleDefinitionId: `/subscriptions/${section.subscription}/providers/Microsoft.Authorization/roleDefinitions/${role.id}`,
    principalId,
    principalType: PRINCIPAL_TYPES[to.kind === "operator" ? to.operator.kind : "servicePrincipal"],
    description: `ppml: ${role.name}`,
  };
}

function assignmentName(section: AzureSection, { to, role, on, part }: Grant): string {
  const { subscription, resourceGroup } = section;
  const holder = to.kind === "operator" ? to.operator.objectId : to.place.id;
  return guidFrom(subscription, resourceGroup, role.id, on.id, part, holder);
}
