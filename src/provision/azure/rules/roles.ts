import type { ArmResource } from "../arm/resource.ts";
import type { AzureSection } from "../config/azure-section.ts";
import { identityPlace } from "../arm/site.ts";
import { BROAD_ROLES, roleById } from "../roles.ts";
import { allResources, memberOf, type Rule, titleOf } from "./rule.ts";

const TYPE = "Microsoft.Authorization/roleAssignments";

/** Only the broker may have a vault unwrap, and only with a KEK that never leaves it. */
export const noUnwrapForWorkloads: Rule = {
  name: "no-unwrap-for-workloads",
  why: "Whoever may unwrap with a KEK reads its data without attestation: only the broker may, after its decision.",
  check: ({ template, section }) =>
    assignments(template).flatMap((one) => {
      const role = roleById(roleIdOf(one));
      if (role === undefined || !role.unwraps || isOperator(section, principalOf(one))) return [];
      const resource = titleOf(one);
      if (!isBroker(section, principalOf(one)))
        return [
          { resource, message: `"${role.name}" lets an identity unwrap that is no broker's` },
        ];
      return isOnUnwrapOnlyKey(section, one.scope ?? "")
        ? []
        : [{ resource, message: `"${role.name}" must be on one unwrap-only KEK, not on more` }];
    }),
};

/** Each role is a narrow one that ppml knows, on a resource and not on the whole group. */
export const narrowRoles: Rule = {
  name: "narrow-roles",
  why: "Owner and Contributor can change what is measured, who may do what, and read keys of an account.",
  check: ({ template }) =>
    assignments(template).flatMap((one) => {
      const id = roleIdOf(one);
      const broad = BROAD_ROLES.get(id);
      const resource = titleOf(one);
      if (broad !== undefined) return [{ resource, message: `the role ${broad} is never given` }];
      if (roleById(id) === undefined)
        return [
          { resource, message: `the role ${id} is none that ppml knows: its rights are unknown` },
        ];
      return one.scope === undefined
        ? [{ resource, message: "a role needs a scope: without one it is on the whole group" }]
        : [];
    }),
};

function assignments(template: { readonly resources: readonly ArmResource[] }) {
  return allResources(template).filter(({ type }) => type === TYPE);
}

function roleIdOf({ properties }: ArmResource): string {
  const id = properties["roleDefinitionId"];
  const text = typeof id === "string" ? id : "";
  return (/([0-9a-fA-F-]{36})'?\)?\]?$/.exec(text)?.[1] ?? "").toLowerCase();
}

function principalOf({ properties }: ArmResource): string {
  const principal = memberOf(properties, "principalId");
  return typeof principal === "string" ? principal : "";
}

function isOperator({ operators }: AzureSection, principal: string): boolean {
  return operators.some(
    ({ objectId }) => objectId === principal || principal === inNested(objectId),
  );
}

function isBroker(section: AzureSection, principal: string): boolean {
  return Object.entries(section.identities).some(([name, { role }]) => {
    if (role !== "broker") return false;
    const { name: resource, id } = identityPlace(section, name);
    return (
      principal.includes(`'${resource}'`) ||
      principal.includes(`'${id}'`) ||
      principal === inNested(name)
    );
  });
}

/** How a nested deployment calls a principal that it is given. */
function inNested(name: string): string {
  return `[parameters('p${name.replaceAll("-", "_")}')]`;
}

function isOnUnwrapOnlyKey({ keyVault }: AzureSection, scope: string): boolean {
  const key =
    /vaults\/keys', '[^']+', '([^']+)'\)\]$/.exec(scope)?.[1] ??
    /\/keys\/([^/]+)$/.exec(scope)?.[1];
  return key !== undefined && keyVault?.keks[key]?.use === "unwrap-only";
}
