import { z } from "zod";
import { defineKind } from "../../state.ts";
import type { TwinState } from "../../state.ts";
import type { TwinPrincipal } from "../../service.ts";
import { isWithinScope } from "../../rbac/role-definition.ts";

const reference = z.strictObject({ id: z.string() });
const json = z.record(z.string(), z.unknown());
const unmanage = z.enum(["delete", "detach"]);

/** What a caller says of a stack. @see Microsoft.Resources deploymentStacks 2024-03-01 */
export const stackInputSchema = z.strictObject({
  template: json,
  parameters: z.record(z.string(), z.strictObject({ value: z.unknown() })).optional(),
  actionOnUnmanage: z.strictObject({
    resources: unmanage,
    resourceGroups: unmanage.optional(),
    managementGroups: unmanage.optional(),
  }),
  denySettings: z.strictObject({
    mode: z.enum(["none", "denyDelete", "denyWriteAndDelete"]),
    excludedPrincipals: z.array(z.guid()).max(5).optional(),
    excludedActions: z.array(z.string()).max(200).optional(),
    applyToChildScopes: z.boolean().optional(),
  }),
  bypassStackOutOfSyncError: z.boolean().optional(),
  deploymentScope: z.string().optional(),
  description: z.string().max(4096).optional(),
  debugSetting: z.unknown().optional(),
});
export type StackInput = z.infer<typeof stackInputSchema>;

/** Deployment stacks by their id in small letters. */
export const STACKS = defineKind(
  "deployment-stack",
  z.strictObject({
    id: z.string(),
    name: z.string(),
    location: z.string().nullable(),
    tags: z.record(z.string(), z.string()),
    input: stackInputSchema,
    principal: z.strictObject({
      objectId: z.string(),
      tenantId: z.string(),
      applicationId: z.string().nullable(),
    }),
    correlationId: z.guid(),
    deploymentId: z.string().nullable(),
    state: z.string(),
    /** What is being done, so that a start after a kill goes on with it. */
    task: z
      .union([
        z.strictObject({ kind: z.literal("apply") }),
        z.strictObject({
          kind: z.literal("delete"),
          resources: unmanage,
          resourceGroups: unmanage,
        }),
      ])
      .nullable(),
    resources: z.array(reference),
    detachedResources: z.array(reference),
    deletedResources: z.array(reference),
    failedResources: z.array(z.strictObject({ id: z.string(), error: json })),
    error: json.nullable(),
    outputs: json.nullable(),
    startedMs: z.number(),
    endedMs: z.number().nullable(),
    createdMs: z.number(),
  }),
);
export type StackDocument = z.infer<(typeof STACKS)["schema"]>;

/** Whether a stack's work is over. */
export function isStackAtRest(state: string): boolean {
  return ["succeeded", "failed", "canceled"].includes(state);
}

/**
 * The name of the stack whose deny settings forbid an action, or null.
 * @see learn.microsoft.com/azure/azure-resource-manager/bicep/deployment-stacks, "Protect managed resources"
 */
export function denyingStack(
  state: TwinState,
  asked: { readonly principal: TwinPrincipal; readonly action: string; readonly scope: string },
): string | null {
  if (!state.has(STACKS)) return null;
  const [verb = ""] = /(?:\/write|\/delete)$/i.exec(asked.action) ?? [];
  if (verb === "") return null;
  for (const { document } of state.list(STACKS)) {
    const { denySettings } = document.input;
    const { mode, excludedPrincipals = [], excludedActions = [] } = denySettings;
    const isDenied =
      mode === "denyWriteAndDelete" || (mode === "denyDelete" && verb.toLowerCase() === "/delete");
    // The stack itself works for who applied it.
    const isExcluded =
      document.task !== null ||
      excludedPrincipals.includes(asked.principal.objectId) ||
      excludedActions.some((action) => action.toLowerCase() === asked.action.toLowerCase());
    if (!isDenied || isExcluded) continue;
    const isManaged = document.resources.some(({ id }) =>
      denySettings.applyToChildScopes === true
        ? isWithinScope(asked.scope, id)
        : id.toLowerCase() === asked.scope.toLowerCase(),
    );
    if (isManaged) return document.name;
  }
  return null;
}
