import { allResources, allTexts, type Rule, titleOf } from "./rule.ts";

const ALLOWED = [
  /^\[resourceId\('[^'[\]]+'(?:, '[^'[\]]+')+\)\]$/,
  /^\[reference\((?:resourceId\('[^'[\]]+'(?:, '[^'[\]]+')+\)|'[^'[\]]+'), '[0-9a-z-]+'\)\.[\w.]+\]$/,
  /^\[parameters\('\w+'\)\]$/,
];

/** A template says what it will do: nothing is left to compute but ids and facts of new resources. */
export const resolvedTemplate: Rule = {
  name: "resolved-template",
  why: "What is computed by Azure cannot be read in a plan; listKeys() and its like give secrets.",
  check: ({ template }) =>
    allResources(template).flatMap((one) => {
      // A nested deployment's own resources are looked at one by one.
      const { template: _, ...properties } = one.properties;
      const texts = allTexts({ ...one, properties });
      return texts
        .filter((text) => text.startsWith("[") && !ALLOWED.some((form) => form.test(text)))
        .map((text) => ({
          resource: titleOf(one),
          message: `the expression ${text} is not allowed`,
        }));
    }),
};

/** Each resource stands once, so that no two parts of the template fight over it. */
export const uniqueResources: Rule = {
  name: "unique-resources",
  why: "ARM refuses a template that has a resource twice.",
  check: ({ template }) => {
    const seen = new Set<string>();
    return allResources(template).flatMap((one) => {
      const key =
        `${one.type} ${one.name} ${one.scope ?? ""} ${one.resourceGroup ?? ""}`.toLowerCase();
      const isSecond = seen.has(key);
      seen.add(key);
      return isSecond ? [{ resource: titleOf(one), message: "stands twice in the template" }] : [];
    });
  },
};
