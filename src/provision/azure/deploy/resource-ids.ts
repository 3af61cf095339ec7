import type { ArmResource, ArmTemplate } from "../arm/resource.ts";
import { nestedResources } from "../arm/nested.ts";
import type { AzureSection } from "../config/azure-section.ts";

/** The group that ids begin with. */
type Group = Pick<AzureSection, "subscription" | "resourceGroup">;

/**
 * The ids of every resource that a template makes, in its order. A nested deployment is none: what it
 * makes in its group stands in its place, as in what-if's answers.
 */
export function templateIds(
  template: Pick<ArmTemplate, "resources">,
  group: Group,
): readonly string[] {
  return template.resources.flatMap((one) => {
    const nested = nestedResources(one);
    if (nested === null) return [resourceId(one, group)];
    const { subscriptionId = group.subscription, resourceGroup = group.resourceGroup } = one;
    return templateIds({ resources: nested }, { subscription: subscriptionId, resourceGroup });
  });
}

/** The id that a resource of the template has once it is there. */
export function resourceId(one: ArmResource, group: Group): string {
  const own = `/providers/${one.type}/${one.name}`;
  if (one.scope !== undefined) return `${evaluateId(one.scope, group)}${own}`;
  return idIn(group, one.type, one.name.split("/"));
}

/** Works out `[resourceId('TYPE', 'NAME', ...)]`, or an id without its group. */
export function evaluateId(text: string, group: Group): string {
  if (text.startsWith("/")) return text;
  const { subscription, resourceGroup } = group;
  if (!text.startsWith("["))
    return `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers/${text}`;
  const [type = "", ...names] = [...text.matchAll(/'([^']+)'/g)].map((match) => match[1] ?? "");
  return idIn(group, type, names);
}

function idIn(group: Group, type: string, names: readonly string[]): string {
  const [space = "", ...types] = type.split("/");
  const path = types.map((word, index) => `${word}/${names[index] ?? ""}`).join("/");
  const { subscription, resourceGroup } = group;
  return `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers/${space}/${path}`;
}

/** A resource's type of its id: `Microsoft.KeyVault/vaults/keys`; that of an extension is its last. */
export function typeOfId(id: string): string {
  const last = id.split("/providers/").at(-1) ?? "";
  const [space = "", ...parts] = last.split("/");
  return [space, ...parts.filter((_, index) => index % 2 === 0)].join("/");
}

/** A resource's name of its id, its parents' before it. */
export function nameOfId(id: string): string {
  const last = id.split("/providers/").at(-1) ?? "";
  return last
    .split("/")
    .slice(1)
    .filter((_, index) => index % 2 === 1)
    .join("/");
}

/** Ids are the same in any letter case. */
export function sameId(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

const HOLDS_KEYS = /^microsoft\.keyvault\/(?:vaults|managedhsms)(?:\/|$)/i;
const HOLDS_DATA = /^microsoft\.storage\/storageaccounts(?:\/|$)/i;

/** What would be lost with a resource: keys, data, or neither. */
export function holds(id: string): "keys" | "data" | null {
  // A role or a diagnostic setting on a vault is an extension, and holds nothing.
  const type = typeOfId(id);
  if (HOLDS_KEYS.test(type)) return "keys";
  return HOLDS_DATA.test(type) ? "data" : null;
}
