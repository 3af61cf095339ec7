import { type ArmResource, resource, TEMPLATE_SCHEMA } from "./resource.ts";

/**
 * A deployment into another group, inside the template. Its own template is evaluated there, so what
 * only this one knows comes as parameters.
 */
export function nestedDeployment(options: {
  readonly name: string;
  readonly group: { readonly subscription: string; readonly name: string };
  readonly resources: readonly ArmResource[];
  readonly dependsOn: readonly string[];
  readonly parameters?: Readonly<Record<string, string>>;
}): ArmResource {
  const { name, group, resources, dependsOn, parameters = {} } = options;
  const entries = Object.entries(parameters);
  return resource("Microsoft.Resources/deployments", {
    name,
    subscriptionId: group.subscription,
    resourceGroup: group.name,
    dependsOn,
    properties: {
      mode: "Incremental",
      expressionEvaluationOptions: { scope: "inner" },
      parameters: Object.fromEntries(entries.map(([key, value]) => [key, { value }])),
      template: {
        $schema: TEMPLATE_SCHEMA,
        contentVersion: "1.0.0.0",
        parameters: Object.fromEntries(entries.map(([key]) => [key, { type: "string" }])),
        resources,
      },
    },
  });
}

/** The resources that a nested deployment makes; null for what is none. */
export function nestedResources(one: ArmResource): readonly ArmResource[] | null {
  const inner = one.properties["template"];
  if (one.type !== "Microsoft.Resources/deployments" || typeof inner !== "object") return null;
  // Made by nestedDeployment alone.
  return (inner as unknown as { readonly resources: readonly ArmResource[] }).resources;
}
