import { createPrivateKey, randomUUID } from "node:crypto";
import { Hono } from "hono";
import type { Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Clock } from "../../base/index.ts";
import { publicJwk } from "../signing-key.ts";
import type { SigningKey } from "../signing-key.ts";
import { OIDC_ISSUERS, PRINCIPALS, TENANTS } from "../state-kinds.ts";
import type { PrincipalDocument } from "../state-kinds.ts";
import type { TwinState } from "../state.ts";
import { knownResource, resourceOfScope } from "./audiences.ts";
import { checkAssertion, checkSecret } from "./client-authentication.ts";
import { EntraRefusal } from "./refusal.ts";
import { issueAccessToken, TOKEN_LIFETIME_SECONDS } from "./tokens.ts";

const MAX_BODY_BYTES = 64 * 1024;
const LOGIN = "https://login.microsoftonline.com";
const JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** What the double of Entra ID runs on. */
export type EntraOptions = {
  readonly state: TwinState;
  readonly key: SigningKey;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  /** Whether the next token is to be one that has expired already: a fault on demand. */
  readonly issuesExpired: () => boolean;
};

/**
 * A local double of Entra ID's endpoints for applications: discovery, keys, and tokens by client
 * credentials with a secret or a federated credential. It has no users, and so no passwords,
 * devices or refresh tokens.
 * @see RFC 6749 section 4.4; RFC 7523 section 2.2; OpenID Connect Discovery 1.0
 */
export function createEntraDouble(options: EntraOptions): Hono {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES }));
  app.get("/common/discovery/instance", (c) => c.json(instanceDiscovery()));
  app.get("/:tenant/v2.0/.well-known/openid-configuration", (c) => configuration(c, options));
  app.get("/:tenant/.well-known/openid-configuration", (c) => configuration(c, options));
  for (const path of ["/:tenant/discovery/v2.0/keys", "/:tenant/discovery/keys"])
    app.get(path, (c) => c.json({ keys: [publicJwk(options.key)] }));
  for (const path of ["/:tenant/oauth2/v2.0/token", "/:tenant/oauth2/token"])
    app.post(path, (c) => token(c, options));
  app.notFound((c) => c.json({ error: "not_found", error_description: c.req.path }, 404));
  app.onError((error, c) => {
    if (error instanceof EntraRefusal) {
      options.log(`entra refused: ${error.message}`);
      return c.json(error.body({ nowMs: options.clock(), id: randomUUID() }), error.status);
    }
    options.log(`entra failed: ${error.message}`);
    return c.json({ error: "server_error", error_description: "the double failed" }, 500);
  });
  return app;
}

/**
 * The OIDC issuers of AKS clusters: discovery and keys at the issuer's own URL.
 * @see OpenID Connect Discovery 1.0 section 4
 */
export function createIssuerDouble(state: TwinState): Hono {
  const app = new Hono();
  app.get("/*", (c) => {
    const url = new URL(c.req.url);
    const isKeys = url.pathname.endsWith("/openid/v1/jwks");
    const base = url.pathname.replace(
      /(?:openid\/v1\/jwks|\.well-known\/openid-configuration)$/,
      "",
    );
    const host = (c.req.header("host") ?? "").replace(/:443$/, "");
    const issuer = `https://${host}${base}`;
    const known = state.get(OIDC_ISSUERS, issuer);
    if (known === null || base === url.pathname) return c.json({ error: "not_found" }, 404);
    if (isKeys) {
      const key = { kid: known.kid, privateKey: createPrivateKey(known.privateKeyPem) };
      return c.json({ keys: [publicJwk(key)] });
    }
    return c.json({
      issuer,
      jwks_uri: `${issuer}openid/v1/jwks`,
      response_types_supported: ["id_token"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["RS256"],
    });
  });
  return app;
}

/** @see MSAL: the metadata by which it accepts an authority */
function instanceDiscovery(): Readonly<Record<string, unknown>> {
  return {
    tenant_discovery_endpoint: `${LOGIN}/common/v2.0/.well-known/openid-configuration`,
    "api-version": "1.1",
    metadata: [
      {
        preferred_network: "login.microsoftonline.com",
        preferred_cache: "login.windows.net",
        aliases: [
          "login.microsoftonline.com",
          "login.windows.net",
          "login.microsoft.com",
          "sts.windows.net",
        ],
      },
    ],
  };
}

function configuration(c: Context, { state }: EntraOptions): Response {
  const tenant = c.req.param("tenant") ?? "";
  const name =
    tenant === "common" || tenant === "organizations" ? "{tenantid}" : tenantOf(state, tenant);
  const base = name === "{tenantid}" ? `${LOGIN}/${tenant}` : `${LOGIN}/${name}`;
  return c.json({
    token_endpoint: `${base}/oauth2/v2.0/token`,
    token_endpoint_auth_methods_supported: ["client_secret_post", "private_key_jwt"],
    jwks_uri: `${base}/discovery/v2.0/keys`,
    response_modes_supported: ["query", "fragment", "form_post"],
    subject_types_supported: ["pairwise"],
    id_token_signing_alg_values_supported: ["RS256"],
    response_types_supported: ["code", "id_token", "code id_token", "id_token token"],
    scopes_supported: ["openid", "profile", "email", "offline_access"],
    issuer: `${LOGIN}/${name}/v2.0`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    device_authorization_endpoint: `${base}/oauth2/v2.0/devicecode`,
    end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    cloud_instance_name: "microsoftonline.com",
    cloud_graph_host_name: "graph.windows.net",
    msgraph_host: "graph.microsoft.com",
    tenant_region_scope: null,
  });
}

async function token(c: Context, options: EntraOptions): Promise<Response> {
  const { state } = options;
  const tenantId = tenantOf(state, c.req.param("tenant") ?? "");
  const form = new URLSearchParams(await c.req.text());
  const grant = required(form, "grant_type");
  if (grant !== "client_credentials")
    throw new EntraRefusal(
      "grant",
      `The app requested an unsupported grant type '${grant.slice(0, 100)}'. (The double has applications only, no users.)`,
    );
  const clientId = required(form, "client_id");
  const principal = applicationOf(state, { tenantId, clientId });
  await authenticate(principal, form, options);
  const scope = form.get("scope");
  const resource =
    scope === null ? knownResource(required(form, "resource")) : resourceOfScope(scope);
  return c.json(await tokenAnswer({ principal, resource, options }), 200, {
    "cache-control": "no-store",
    pragma: "no-cache",
  });
}

/** The answer with an access token. @see RFC 6749 section 5.1 */
export async function tokenAnswer(asked: {
  readonly principal: PrincipalDocument;
  readonly resource: string;
  readonly options: EntraOptions;
}): Promise<Readonly<Record<string, unknown>> & { readonly access_token: string }> {
  const { principal, resource, options } = asked;
  const nowMs = options.clock();
  const lifetimeMs = (options.issuesExpired() ? -1 : TOKEN_LIFETIME_SECONDS) * 1000;
  const access = await issueAccessToken({
    principal,
    resource,
    key: options.key,
    nowMs,
    expiresMs: nowMs + lifetimeMs,
    id: randomUUID(),
  });
  return {
    token_type: "Bearer",
    expires_in: TOKEN_LIFETIME_SECONDS - 1,
    ext_expires_in: TOKEN_LIFETIME_SECONDS - 1,
    access_token: access,
  };
}

async function authenticate(
  principal: PrincipalDocument,
  form: URLSearchParams,
  { state, clock }: EntraOptions,
): Promise<void> {
  const secret = form.get("client_secret");
  const assertion = form.get("client_assertion");
  if (assertion !== null && form.get("client_assertion_type") === JWT_BEARER)
    return checkAssertion(principal, assertion, { state, nowMs: clock() });
  if (secret !== null) return checkSecret(principal, { secret, nowMs: clock() });
  throw new EntraRefusal(
    "noCredential",
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
  );
}

function tenantOf(state: TwinState, name: string): string {
  const known = state
    .list(TENANTS)
    .find(({ id, document }) => id === name.toLowerCase() || document.defaultDomain === name);
  if (known === undefined)
    throw new EntraRefusal(
      "tenant",
      `Tenant '${name.slice(0, 100)}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.`,
    );
  return known.id;
}

function applicationOf(
  state: TwinState,
  asked: { readonly tenantId: string; readonly clientId: string },
): PrincipalDocument {
  const found = state
    .list(PRINCIPALS)
    .find(
      ({ document }) =>
        document.clientId === asked.clientId.toLowerCase() && document.tenantId === asked.tenantId,
    );
  if (found === undefined)
    throw new EntraRefusal(
      "application",
      `Application with identifier '${asked.clientId.slice(0, 100)}' was not found in the directory '${asked.tenantId}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant.`,
    );
  return found.document;
}

function required(form: URLSearchParams, name: string): string {
  const value = form.get(name);
  if (value === null || value === "")
    throw new EntraRefusal(
      "request",
      `The request body must contain the following parameter: '${name}'.`,
    );
  return value;
}
