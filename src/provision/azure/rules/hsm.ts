import { type HsmGrant, hsmGrants } from "../arm/hsm-grants.ts";
import type { AzureSection } from "../config/azure-section.ts";
import { allResources, type Breach, type Rule, titleOf } from "./rule.ts";

/** Inside a Managed HSM too, only the broker may unwrap, with a KEK that never leaves it. */
export const noUnwrapInHsm: Rule = {
  name: "no-unwrap-in-hsm",
  why: "A Managed HSM's own roles are given beside the template: they keep to the same rule.",
  check: ({ section }) => hsmRoleBreaches(section, hsmGrants(section)),
};

/** ARM's roles give nothing inside a Managed HSM: one there would only look like a right. */
export const noArmRolesInHsm: Rule = {
  name: "no-arm-roles-in-hsm",
  why: "A Managed HSM goes by its own roles: ARM's assignments on its keys mislead who reads them.",
  check: ({ template }) =>
    allResources(template)
      .filter(({ type }) => type === "Microsoft.Authorization/roleAssignments")
      .filter(({ scope = "" }) => /managedhsms(?:\/keys'|\/[^/]+\/keys\/)/i.test(scope))
      .map((one) => ({
        resource: titleOf(one),
        message:
          "a role of ARM's on a Managed HSM's key gives nothing: the HSM has roles of its own",
      })),
};

/** What of these roles lets somebody unwrap who may not, or reaches further than one key. Pure. */
export function hsmRoleBreaches(
  { identities, keyVault }: AzureSection,
  grants: readonly HsmGrant[],
): readonly Omit<Breach, "rule">[] {
  return grants.flatMap(({ to, role, scope }) => {
    if (role.gives === "read") return [];
    const who = to.kind === "identity" ? to.name : `operator ${to.operator.objectId}`;
    const breach = (message: string) => [
      { resource: `${scope} for ${who}`, message: `"${role.name}" ${message}` },
    ];
    const key = /^\/keys\/([A-Za-z0-9-]+)$/.exec(scope)?.[1];
    const use = key === undefined ? undefined : keyVault?.keks[key]?.use;
    if (use === undefined) return breach("must be on one KEK of the project's, not on more");
    if (role.gives === "release")
      return use === "exportable" ? [] : breach("is for an exportable KEK");
    const isBroker = to.kind === "identity" && identities[to.name]?.role === "broker";
    if (isBroker) return use === "unwrap-only" ? [] : breach("must be on an unwrap-only KEK");
    if (to.kind === "identity") return breach("lets an identity unwrap that is no broker's");
    return use === "exportable" ? [] : breach("lets an operator unwrap with a KEK of the broker's");
  });
}
