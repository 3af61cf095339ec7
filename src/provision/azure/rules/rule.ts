import { nestedResources } from "../arm/nested.ts";
import type { ArmObject, ArmResource, ArmTemplate, ArmValue } from "../arm/resource.ts";
import type { AzureSection } from "../config/azure-section.ts";

/** A template with the section that it was made from. */
export type RuleInput = { readonly template: ArmTemplate; readonly section: AzureSection };

/** A breach of a rule. */
export type Breach = {
  /** The rule's name, such as `no-account-keys`. */
  readonly rule: string;
  /** Type and name of the resource. */
  readonly resource: string;
  readonly message: string;
};

/** A rule: its name, why it is one, and what finds breaches of it. Pure. */
export type Rule = {
  readonly name: string;
  readonly why: string;
  readonly check: (input: RuleInput) => readonly Omit<Breach, "rule">[];
};

/** The resources of a template, those of nested deployments included. */
export function allResources(template: {
  readonly resources: readonly ArmResource[];
}): readonly ArmResource[] {
  return template.resources.flatMap((one) => {
    const nested = nestedResources(one);
    return nested === null ? [one] : [one, ...allResources({ resources: nested })];
  });
}

/** `Microsoft.KeyVault/vaults my-vault`, for messages. */
export function titleOf({ type, name }: ArmResource): string {
  return `${type} ${name}`;
}

/** The value at a path of members, or undefined. */
export function memberOf(
  value: ArmValue | undefined,
  ...path: readonly string[]
): ArmValue | undefined {
  let at = value;
  for (const name of path) {
    if (!isObject(at) || !Object.hasOwn(at, name)) return undefined;
    at = at[name];
  }
  return at;
}

/** A list's members that are text. */
export function textsOf(value: ArmValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

/** Tells an object from lists and plain values. */
export function isObject(value: unknown): value is ArmObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Every text in a value: members' names too, for they can be expressions. */
export function allTexts(value: ArmValue | undefined): readonly string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap((one: ArmValue) => allTexts(one));
  if (isObject(value))
    return [...Object.keys(value), ...Object.values(value).flatMap((one) => allTexts(one))];
  return [];
}
