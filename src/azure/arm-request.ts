import {
  bearerTokenAuthenticationPolicy,
  createHttpHeaders,
  createPipelineFromOptions,
  createPipelineRequest,
  RestError,
} from "@azure/core-rest-pipeline";
import type { AzureConnection } from "./connection.ts";

const ARM = "https://management.azure.com";
const MAX_ANSWER_CHARACTERS = 64 * 1024 * 1024;

/** One call of Azure Resource Manager. */
export type ArmCall = {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** From `/subscriptions/...` on, or the `nextLink` of an answer; without `api-version`. */
  readonly path: string;
  readonly apiVersion: string;
  readonly body?: unknown;
};

/** An answer: its status, its JSON (null where it has none), and Azure's clock when it was sent. */
export type ArmAnswer = {
  readonly status: number;
  readonly body: unknown;
  readonly dateMs: number | null;
};

/**
 * Calls ARM through Microsoft's own pipeline (login, retries, continuous access evaluation), for the
 * few things for which an SDK of tens of megabytes would come. 404 is an answer, not an error.
 * @throws RestError for every other status from 400 on, and where the network fails
 */
export async function armRequest(connection: AzureConnection, call: ArmCall): Promise<ArmAnswer> {
  const { credential, clientOptions } = connection;
  const { method, path, apiVersion, body } = call;
  const url = new URL(path, ARM);
  if (url.origin !== ARM) throw new RestError(`${url.origin} is not ARM`);
  if (!url.searchParams.has("api-version")) url.searchParams.set("api-version", apiVersion);
  const pipeline = createPipelineFromOptions({ retryOptions: clientOptions.retryOptions });
  pipeline.addPolicy(bearerTokenAuthenticationPolicy({ credential, scopes: [`${ARM}/.default`] }), {
    phase: "Sign",
  });
  const request = createPipelineRequest({
    url: url.href,
    method,
    headers: createHttpHeaders({ accept: "application/json" }),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (body !== undefined) request.headers.set("content-type", "application/json");
  const response = await pipeline.sendRequest(clientOptions.httpClient, request);
  const text = (response.bodyAsText ?? "").slice(0, MAX_ANSWER_CHARACTERS);
  const answer: unknown = text === "" ? null : parseAnswer(text);
  if (response.status < 400 || response.status === 404)
    return { status: response.status, body: answer, dateMs: dateOf(response.headers.get("date")) };
  throw errorOf({ status: response.status, answer, request, response });
}

/** All members of a list that comes in pages; at most 1,000 pages. */
export async function armList(
  connection: AzureConnection,
  call: Omit<ArmCall, "method" | "body">,
): Promise<readonly unknown[]> {
  const all: unknown[] = [];
  let path: string | null = call.path;
  for (let page = 0; path !== null && page < 1000; page += 1) {
    const { body } = await armRequest(connection, { ...call, method: "GET", path });
    if (typeof body !== "object" || body === null || !("value" in body)) return all;
    if (Array.isArray(body.value)) all.push(...(body.value as readonly unknown[]));
    path = "nextLink" in body && typeof body.nextLink === "string" ? body.nextLink : null;
  }
  return all;
}

function dateOf(header: string | undefined): number | null {
  const ms = Date.parse(header ?? "");
  return Number.isNaN(ms) ? null : ms;
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's page: the status tells enough
  }
}

function errorOf(options: {
  readonly status: number;
  readonly answer: unknown;
  readonly request: ReturnType<typeof createPipelineRequest>;
  readonly response: NonNullable<ConstructorParameters<typeof RestError>[1]>["response"];
}): RestError {
  const { status, answer, request, response } = options;
  const inner =
    typeof answer === "object" && answer !== null && "error" in answer ? answer.error : null;
  const has = (name: string): string | undefined => {
    const value: unknown =
      typeof inner === "object" && inner !== null ? Reflect.get(inner, name) : undefined;
    return typeof value === "string" ? value : undefined;
  };
  const code = has("code");
  return new RestError(has("message") ?? `status ${status}`, {
    statusCode: status,
    request,
    ...(response === undefined ? {} : { response }),
    ...(code === undefined ? {} : { code }),
  });
}
