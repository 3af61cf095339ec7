import assert from "node:assert/strict";
import type { ArmResource, ArmTemplate, AzureSection } from "../../../src/provision/index.ts";
import { sectionOf, templateOf } from "./sections.ts";

/** A resource that a test may change. */
export type Loose = { -readonly [Key in keyof ArmResource]: ArmResource[Key] };
export type Properties = Record<string, unknown>;

/** A template with one fault: the rule that refuses it, a word of what it says, and its section. */
export type Faulty = readonly [
  name: string,
  rule: string,
  says: RegExp,
  template: ArmTemplate,
  of?: AzureSection,
];

const isOf = (one: ArmResource, words: readonly string[]) =>
  words.every((word) => JSON.stringify(one).includes(word));

/** The template of a section with its first resource of that type, with all the words in it, changed. */
export function changed(
  wanted: {
    readonly type: string;
    readonly has?: readonly string[];
    readonly of?: AzureSection;
  },
  change: (properties: Properties, resource: Loose) => void,
): ArmTemplate {
  const template = structuredClone(templateOf(wanted.of ?? sectionOf()));
  const resource = template.resources.find(
    (one) => one.type === wanted.type && isOf(one, wanted.has ?? []),
  );
  assert.ok(resource !== undefined, `no ${wanted.type} with ${String(wanted.has)}`);
  change(resource.properties, resource);
  return template;
}

/** The id of a built-in role, as a template names it. */
export function roleIdIn({ subscription }: AzureSection, id: string): string {
  return `/subscriptions/${subscription}/providers/Microsoft.Authorization/roleDefinitions/${id}`;
}
