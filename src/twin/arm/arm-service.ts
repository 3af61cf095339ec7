import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { TwinBase, TwinService } from "../service.ts";
import { SUBSCRIPTIONS, TWIN } from "../state-kinds.ts";
import { ARM_AUDIENCES } from "./authorize.ts";
import { resumeDeployments } from "./deployments/routes.ts";
import { ArmRefusal, badRequest, subscriptionNotFound } from "./refusal.ts";
import { matchRoute } from "./route.ts";
import type { Reply } from "./route.ts";
import { ROUTES } from "./routes/all-routes.ts";
import { resumeStacks } from "./stacks/routes.ts";
import type { ArmContext, Json } from "./type-spec.ts";

const HOST = "management.azure.com";
/** ARM's own bound of a template. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** Asked for before there is a login. */
const WITHOUT_VERSION = /^\/(?:metadata\/endpoints)$/i;

/** How ARM's double differs from the usual. */
export type ArmOptions = Pick<ArmContext, "paceMs" | "checkResource">;

/** Azure Resource Manager's double as a service of the twin. */
export function armService(base: TwinBase, options: ArmOptions): TwinService {
  let isClosed = false;
  const context: ArmContext = {
    ...base,
    ...options,
    inBackground: (work) => {
      work.catch((error: unknown) => {
        // What is cut off by the end is taken up by the next start.
        if (!isClosed) base.log(`arm failed: ${String(error)}`);
      });
    },
    tenantId: base.state.get(TWIN, "twin")?.tenantId ?? "",
  };
  // What ran when the twin was killed goes on: Azure would not have stopped.
  resumeDeployments(context);
  resumeStacks(context);
  return {
    name: "arm",
    serves: (host) => host === HOST,
    handle: (request, response) => {
      void answer(context, request)
        .catch((error: unknown) => replyOf(context, error))
        .then((reply) => {
          send(response, reply, request.method === "HEAD");
          return null;
        })
        .catch((error: unknown) => context.log(`arm failed: ${String(error)}`));
    },
    close: async () => {
      isClosed = true;
    },
  };
}

async function answer(context: ArmContext, incoming: IncomingMessage): Promise<Reply> {
  const url = new URL(incoming.url ?? "/", `https://${HOST}`);
  const path = decodePath(url.pathname);
  const method = incoming.method ?? "GET";
  const query = new URLSearchParams();
  for (const [name, value] of url.searchParams) query.append(name.toLowerCase(), value);
  const body = await readBody(incoming);
  const { authorization } = incoming.headers;
  const principal = await context.authority.principalOf({ authorization }, ARM_AUDIENCES);
  if (principal === null) return challenge(context, authorization !== undefined);
  const apiVersion = query.get("api-version");
  if (apiVersion === null && !WITHOUT_VERSION.test(path))
    throw badRequest(
      "MissingApiVersionParameter",
      "The api-version query parameter (?api-version=) is required for all requests.",
    );
  requireSubscription(context, path);
  for (const route of ROUTES) {
    const parts = matchRoute(route, { method, path });
    if (parts === null) continue;
    return route.handle({
      context,
      method,
      path,
      query,
      body,
      apiVersion: apiVersion ?? "",
      principal,
      parts,
    });
  }
  throw new ArmRefusal(404, "InvalidResourceType", {
    message: `The double of Azure has no ${method} ${path.slice(0, 200)}.`,
  });
}

/** ARM looks for the subscription before anything in it. @throws ArmRefusal SubscriptionNotFound */
function requireSubscription({ state }: ArmContext, path: string): void {
  const [, id] = /^\/subscriptions\/([^/]+)/i.exec(path) ?? [];
  if (id === undefined || state.get(SUBSCRIPTIONS, id.toLowerCase()) !== null) return;
  throw subscriptionNotFound(id);
}

function replyOf(context: ArmContext, error: unknown): Reply {
  if (error instanceof ArmRefusal) {
    context.log(`arm refused: ${error.code}: ${error.message.slice(0, 300)}`);
    const seconds = error.retryAfterSeconds;
    return {
      status: error.status,
      body: error.body(),
      ...(seconds === null ? {} : { headers: { "retry-after": String(seconds) } }),
    };
  }
  context.log(`arm failed: ${error instanceof Error ? (error.stack ?? error.message) : "?"}`);
  const failure = { code: "InternalServerError", message: "the double failed; its log says more" };
  return { status: 500, body: { error: failure } };
}

function challenge({ tenantId }: ArmContext, hasToken: boolean): Reply {
  const [code, message] = hasToken
    ? [
        "InvalidAuthenticationToken",
        "The access token is invalid, expired, or of another issuer or audience.",
      ]
    : ["AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."];
  const authority = `https://login.microsoftonline.com/${tenantId}`;
  return {
    status: 401,
    body: { error: { code, message } },
    headers: {
      "www-authenticate": `Bearer authorization_uri="${authority}", error="invalid_token", error_description="${message}"`,
    },
  };
}

function send(response: ServerResponse, reply: Reply, isHead: boolean): void {
  const id = randomUUID();
  const hasBody = reply.body !== undefined && reply.body !== null;
  response.writeHead(reply.status, {
    ...(hasBody ? { "content-type": "application/json; charset=utf-8" } : { "content-length": 0 }),
    "cache-control": "no-cache",
    "x-ms-request-id": id,
    "x-ms-correlation-request-id": id,
    ...reply.headers,
  });
  response.end(hasBody && !isHead ? JSON.stringify(reply.body) : undefined);
}

async function readBody(incoming: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.byteLength;
    if (length > MAX_BODY_BYTES)
      throw new ArmRefusal(413, "RequestContentTooLarge", {
        message: `The request content size exceeds the maximum size of ${MAX_BODY_BYTES} bytes.`,
      });
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8").trim();
  if (text === "") return {};
  const value = parseLenient(text);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw badRequest("InvalidRequestContent", "The request content is not a JSON object.");
  return { ...value };
}

/** `az` writes deployments with a key that is not quoted, which ARM's reader takes. */
function parseLenient(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Read again below.
  }
  try {
    return JSON.parse(text.replaceAll(/([{,]\s*)(template|parameters)(\s*:)/g, '$1"$2"$3'));
  } catch {
    throw badRequest(
      "InvalidRequestContent",
      "The request content was invalid and could not be deserialized: it is not JSON.",
    );
  }
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path).replaceAll(/\/{2,}/g, "/");
  } catch {
    throw badRequest("InvalidRequestUri", "The request's path is not valid.");
  }
}
