import { randomUUID } from "node:crypto";
import type { ArmError } from "../refusal.ts";
import type { PlannedResource } from "../template/expand.ts";
import type { ArmContext } from "../type-spec.ts";
import { DEPLOYMENT_OPERATIONS } from "./documents.ts";
import type { DeploymentDocument } from "./documents.ts";

/** A step that has begun. */
export type BegunOperation = {
  readonly end: (outcome: { readonly statusCode: string; readonly error: ArmError | null }) => void;
};

/** Writes down that a step of a deployment has begun, and then how it ended. */
export function beginOperation(
  context: ArmContext,
  deployment: DeploymentDocument,
  resource: PlannedResource,
): BegunOperation {
  const { state, clock } = context;
  const operationId = randomUUID().replaceAll("-", "").toUpperCase().slice(0, 16);
  const id = `${deployment.id}/operations/${operationId}`;
  const begunMs = clock();
  const common = {
    provisioningOperation: "Create",
    timestamp: new Date(begunMs).toISOString(),
    trackingId: randomUUID(),
    targetResource: {
      id: resource.id,
      resourceType: resource.type,
      resourceName: resource.name,
      apiVersion: resource.apiVersion,
    },
  };
  const put = (properties: Readonly<Record<string, unknown>>): void => {
    state.put(DEPLOYMENT_OPERATIONS, id.toLowerCase(), {
      id,
      operationId,
      properties: { ...properties },
    });
  };
  put({ ...common, provisioningState: "Running" });
  return {
    end: ({ statusCode, error }) => {
      put({
        ...common,
        provisioningState: error === null ? "Succeeded" : "Failed",
        duration: durationOf(clock() - begunMs),
        statusCode,
        ...(error === null ? {} : { statusMessage: { status: "Failed", error } }),
      });
    },
  };
}

/** An ISO 8601 duration. */
export function durationOf(ms: number): string {
  return `PT${(Math.max(0, ms) / 1000).toFixed(7)}S`;
}
