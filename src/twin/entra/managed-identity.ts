import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { toHex } from "../../base/index.ts";
import { PRINCIPALS } from "../state-kinds.ts";
import { knownResource } from "./audiences.ts";
import { tokenAnswer } from "./entra-double.ts";
import type { EntraOptions } from "./entra-double.ts";
import { EntraRefusal } from "./refusal.ts";

const API_VERSION = "2019-08-01";

/** The path of the endpoint, at the proxy's own port. */
export const MANAGED_IDENTITY_PATH = "/msi/token";

/** The endpoint of managed identities, and the header's value that its callers must send. */
export type ManagedIdentityEndpoint = {
  readonly secret: string;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
};

/**
 * A double of App Service's endpoint for managed identities (IDENTITY_ENDPOINT, IDENTITY_HEADER): any
 * managed identity of the twin's state gets a token here, named by its client, object or resource id.
 * @see learn.microsoft.com/azure/app-service/overview-managed-identity, "REST endpoint reference"
 */
export function createManagedIdentityEndpoint(
  options: EntraOptions & { readonly random: (length: number) => Uint8Array },
): ManagedIdentityEndpoint {
  const secret = toHex(options.random(16));
  return {
    secret,
    handle: (request, response) => {
      void respond(response, async () => answer(request, { secret, options })).catch(
        (error: unknown) => options.log(`managed identity failed: ${String(error)}`),
      );
    },
  };
}

async function respond(response: ServerResponse, work: () => Promise<Answer>): Promise<void> {
  try {
    const { status, body } = await work();
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  } catch (error) {
    response.writeHead(500).end();
    throw error;
  }
}

type Answer = { readonly status: number; readonly body: Readonly<Record<string, unknown>> };

async function answer(
  request: IncomingMessage,
  { secret, options }: { readonly secret: string; readonly options: EntraOptions },
): Promise<Answer> {
  const url = new URL(request.url ?? "/", "http://127.0.0.1");
  const query = url.searchParams;
  if (request.method !== "GET" || url.pathname !== MANAGED_IDENTITY_PATH)
    return refusal(404, "there is nothing here");
  if (!isSame(String(request.headers["x-identity-header"] ?? ""), secret))
    return refusal(401, "the header X-IDENTITY-HEADER is missing or wrong");
  if (query.get("api-version") !== API_VERSION)
    return refusal(400, `the api-version must be ${API_VERSION}`);
  const wanted =
    query.get("client_id") ??
    query.get("principal_id") ??
    query.get("mi_res_id") ??
    query.get("msi_res_id");
  const identities = options.state
    .list(PRINCIPALS)
    .filter(({ document }) => document.kind === "managed-identity")
    .filter(({ document: { clientId, objectId, resourceId } }) =>
      [clientId, objectId, resourceId].some(
        (name) => wanted === null || name?.toLowerCase() === wanted.toLowerCase(),
      ),
    );
  const [identity] = identities;
  if (identity === undefined || identities.length > 1)
    return refusal(
      400,
      "name one managed identity that exists, by client_id, principal_id or mi_res_id",
    );
  try {
    const resource = knownResource(query.get("resource") ?? "");
    const token = await tokenAnswer({ principal: identity.document, resource, options });
    return {
      status: 200,
      body: {
        access_token: token.access_token,
        token_type: "Bearer",
        resource,
        client_id: identity.document.clientId,
        expires_on: String(Math.floor(options.clock() / 1000) + Number(token["expires_in"])),
      },
    };
  } catch (error) {
    if (!(error instanceof EntraRefusal)) throw error;
    return refusal(400, error.message);
  }
}

function refusal(statusCode: number, message: string): Answer {
  return { status: statusCode, body: { statusCode, message } };
}

function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.byteLength === other.byteLength && timingSafeEqual(one, other);
}
