import { randomUUID } from "node:crypto";
import { DEPLOYMENTS } from "./deployments/documents.ts";
import { isStackAtRest, STACKS } from "./stacks/stack-documents.ts";
import { part, route } from "./route.ts";
import type { ArmRequest, Reply, Route } from "./route.ts";
import { ArmRefusal } from "./refusal.ts";
import { OPERATIONS } from "./state-kinds.ts";
import type { ArmContext } from "./type-spec.ts";

/** Headers of an answer that is not the last word. */
export type PollHeaders = Readonly<Record<string, string>>;

const API_VERSION = "2024-11-01";

/**
 * Begins an operation that is polled: done at a time, or when the deployment or stack of a key is at
 * rest. `status` gives Azure-AsyncOperation, `result` Location.
 * @see Azure Resource Manager RPC, "Asynchronous Operations"
 */
export function beginPolling(
  context: ArmContext,
  operation: {
    readonly scope: string;
    readonly follows: string | null;
    readonly kind: "status" | "result";
  },
): PollHeaders {
  const id = randomUUID();
  context.state.put(OPERATIONS, id, {
    readyMs: context.clock() + context.paceMs,
    follows: operation.follows,
    error: null,
  });
  const [path, header] =
    operation.kind === "status"
      ? ["operationStatuses", "azure-asyncoperation"]
      : ["operationResults", "location"];
  const url = `https://management.azure.com${operation.scope}/providers/Microsoft.Resources/${path}/${id}?api-version=${API_VERSION}`;
  // Whole seconds: below one the client's own interval counts.
  const seconds = Math.floor(context.paceMs / 1000);
  return { [header]: url, ...(seconds === 0 ? {} : { "retry-after": String(seconds) }) };
}

type Outcome = {
  readonly status: string;
  readonly error: Readonly<Record<string, unknown>> | null;
};

/** What a polled operation says by now. @throws ArmRefusal where there is none */
function outcomeOf({ context, parts }: ArmRequest): Outcome {
  const operation = context.state.get(OPERATIONS, parts["operation"]?.toLowerCase() ?? "");
  if (operation === null)
    throw new ArmRefusal(404, "OperationNotFound", { message: "There is no such operation." });
  if (operation.follows !== null) return followed(context, operation.follows);
  if (operation.readyMs > context.clock()) return { status: "InProgress", error: null };
  return { status: operation.error === null ? "Succeeded" : "Failed", error: operation.error };
}

function followed({ state }: ArmContext, key: string): Outcome {
  const deployment = state.get(DEPLOYMENTS, key);
  if (deployment !== null) return { status: deployment.state, error: deployment.error };
  const stack = state.get(STACKS, key);
  // A stack that was deleted is gone.
  if (stack === null) return { status: "Succeeded", error: null };
  const isOver = isStackAtRest(stack.state) && stack.task === null;
  const status = isOver ? stack.state : "Running";
  return { status: status.charAt(0).toUpperCase() + status.slice(1), error: stack.error };
}

function statusReply(request: ArmRequest): Reply {
  const { status, error } = outcomeOf(request);
  const isFailed = status === "Failed" || status === "Canceled";
  return {
    status: 200,
    body: {
      id: request.path,
      name: part(request, "operation"),
      status,
      ...(isFailed && error !== null ? { error } : {}),
    },
  };
}

function resultReply(request: ArmRequest): Reply {
  const { status, error } = outcomeOf(request);
  if (status === "Succeeded") return { status: 200 };
  if (status === "Failed" || status === "Canceled")
    return { status: 409, body: { error: error ?? { code: status, message: status } } };
  const location = `https://management.azure.com${request.path}?api-version=${request.apiVersion}`;
  return { status: 202, headers: { location } };
}

/** Where operations are polled. */
export const POLLING_ROUTES: readonly Route[] = [
  route("GET", ":scope*/providers/Microsoft.Resources/operationStatuses/:operation", statusReply),
  route("GET", ":scope*/providers/Microsoft.Resources/operationResults/:operation", resultReply),
];
