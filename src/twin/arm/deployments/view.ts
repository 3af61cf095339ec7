import { createHash } from "node:crypto";
import { parseResourceId } from "../resource-id.ts";
import type { ArmContext, Json } from "../type-spec.ts";
import { isAtRest } from "./documents.ts";
import type { DeploymentDocument } from "./documents.ts";
import { durationOf } from "./operations.ts";

/** A deployment as ARM answers it. @see Microsoft.Resources deployments, DeploymentExtended */
export function deploymentBody(
  { clock }: ArmContext,
  document: DeploymentDocument,
): {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly properties: Json;
} {
  const { id, name, input, location, tags, state, error, outputs } = document;
  const endMs = document.endedMs ?? clock();
  const types = document.outputResources.map((one) => parseResourceId(one)?.type ?? "");
  const hash = createHash("sha256").update(JSON.stringify(input.template)).digest();
  return {
    id,
    name,
    type: "Microsoft.Resources/deployments",
    ...(location === null ? {} : { location }),
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
    properties: {
      templateHash: hash.readBigUInt64BE().toString(),
      parameters: parametersOf(input),
      mode: input.mode,
      provisioningState: state,
      timestamp: new Date(endMs).toISOString(),
      duration: durationOf(endMs - document.startedMs),
      correlationId: document.correlationId,
      providers: providersOf(types),
      dependencies: [],
      ...(outputs === null ? {} : { outputs }),
      ...(isAtRest(state)
        ? { outputResources: document.outputResources.map((one) => ({ id: one })) }
        : {}),
      ...(error === null ? {} : { error }),
    },
  };
}

/** Secure parameters are never given back. */
function parametersOf({ template, parameters }: DeploymentDocument["input"]): Json {
  const declared = template["parameters"];
  const types: Json = typeof declared === "object" && declared !== null ? { ...declared } : {};
  return Object.fromEntries(
    Object.entries(parameters ?? {}).map(([name, { value }]) => {
      const parameter = types[name];
      const type =
        typeof parameter === "object" && parameter !== null && "type" in parameter
          ? String(parameter.type)
          : "String";
      return [name, /^secure/i.test(type) ? { type } : { type, value }];
    }),
  );
}

function providersOf(types: readonly string[]): readonly Json[] {
  const namespaces = [...new Set(types.map((type) => type.split("/")[0] ?? ""))];
  return namespaces.map((namespace) => ({
    namespace,
    resourceTypes: [...new Set(types)]
      .filter((type) => type.startsWith(`${namespace}/`))
      .map((type) => ({ resourceType: type.slice(namespace.length + 1), locations: [null] })),
  }));
}
