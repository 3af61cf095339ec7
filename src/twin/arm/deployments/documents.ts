import { z } from "zod";
import { defineKind } from "../../state.ts";

const json = z.record(z.string(), z.unknown());

export const deploymentScopeSchema = z.strictObject({
  subscriptionId: z.string(),
  resourceGroup: z.string().nullable(),
});

/** What a caller says of a deployment. @see Microsoft.Resources deployments, DeploymentProperties */
export const deploymentInputSchema = z.strictObject({
  mode: z.enum(["Incremental", "Complete"]),
  template: json,
  parameters: z.record(z.string(), z.strictObject({ value: z.unknown() })).optional(),
  expressionEvaluationOptions: z.strictObject({ scope: z.enum(["inner", "outer"]) }).optional(),
  debugSetting: z.strictObject({ detailLevel: z.string() }).nullable().optional(),
  onErrorDeployment: z.null().optional(),
  whatIfSettings: z.strictObject({ resultFormat: z.string() }).optional(),
  validationLevel: z.enum(["Template", "Provider", "ProviderNoRbac"]).optional(),
});
export type DeploymentInput = z.infer<typeof deploymentInputSchema>;

/** Deployments by their id in small letters. */
export const DEPLOYMENTS = defineKind(
  "deployment",
  z.strictObject({
    id: z.string(),
    name: z.string(),
    scope: deploymentScopeSchema,
    location: z.string().nullable(),
    tags: z.record(z.string(), z.string()),
    input: deploymentInputSchema,
    principal: z.strictObject({
      objectId: z.string(),
      tenantId: z.string(),
      applicationId: z.string().nullable(),
    }),
    correlationId: z.guid(),
    /** Whether another deployment or a stack runs it: then it is not taken up by itself. */
    isInner: z.boolean(),
    state: z.enum(["Accepted", "Running", "Succeeded", "Failed", "Canceled"]),
    startedMs: z.number(),
    endedMs: z.number().nullable(),
    error: json.nullable(),
    outputs: json.nullable(),
    outputResources: z.array(z.string()),
  }),
);
export type DeploymentDocument = z.infer<(typeof DEPLOYMENTS)["schema"]>;

/** The steps of deployments, by the deployment's id and the step's number. */
export const DEPLOYMENT_OPERATIONS = defineKind(
  "deployment-operation",
  z.strictObject({
    id: z.string(),
    operationId: z.string(),
    properties: json,
  }),
);

/** Whether a deployment's work is over. */
export function isAtRest(state: DeploymentDocument["state"]): boolean {
  return state !== "Accepted" && state !== "Running";
}
