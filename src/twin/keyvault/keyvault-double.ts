import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { TwinBase } from "../service.ts";
import { requirePrincipal } from "./access.ts";
import { certificateRoutes } from "./certificates.ts";
import { hsmDomainRoutes } from "./hsm-domain-routes.ts";
import { hsmRoutes } from "./hsm-routes.ts";
import { instanceOf } from "./instance.ts";
import { keyRoutes } from "./keys.ts";
import { badParameter, KeyVaultRefusal } from "./refusal.ts";
import { addRoutes } from "./routes.ts";
import type { CallVariables, Parts } from "./routes.ts";
import { secretRoutes } from "./secrets.ts";
import { createThrottle } from "./throttle.ts";
import type { LimitClass } from "./throttle.ts";

const MAX_BODY_BYTES = 512 * 1024;

/** From 7.4 to the newest that the SDKs of package.json ask for. */
export const API_VERSIONS = ["7.4", "7.5", "7.6-preview.2", "7.6", "2025-07-01", "2026-04-01"];

/** What the double runs on. */
export type KeyVaultDoubleOptions = {
  readonly base: TwinBase;
  readonly signRelease: Parts["signRelease"];
  /** Other limits than Azure's; for tests. */
  readonly limits?: Partial<Readonly<Record<LimitClass, number>>>;
  /** Whether RSA-OAEP with SHA-1 is served too. */
  readonly sha1?: boolean;
};

/**
 * A local double of the data plane of Key Vault and Managed HSM: keys, secrets, certificates, with
 * soft delete, limits, role assignments and releases computed from its state. What it does not know
 * (routes, versions of the API, members of a request) it refuses in Azure's forms.
 * @see learn.microsoft.com/rest/api/keyvault; docs/twin-keyvault.md
 */
export function createKeyVaultDouble(options: KeyVaultDoubleOptions): Hono<CallVariables> {
  const parts = partsOf(options);
  const { base } = parts;
  // Not strict: the SDKs ask for the current version as keys/NAME/.
  const app = new Hono<CallVariables>({ strict: false });
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: () => refuseLarge() }));
  app.use(async (c, next) => {
    const host = (c.req.header("host") ?? "").toLowerCase().replace(/:443$/, "");
    const instance = instanceOf(host, base.authority);
    const authorization = c.req.header("authorization");
    c.set("instance", instance);
    c.set("principal", await requirePrincipal(base.authority, instance, authorization));
    const { pathname, search } = new URL(c.req.url);
    const url = new URL(`https://${host}${pathname}${search}`);
    requireVersion(url.searchParams.get("api-version"));
    c.set("url", url);
    await next();
  });
  addRoutes(app, parts, {
    ...keyRoutes(parts),
    ...secretRoutes(parts),
    ...certificateRoutes(parts),
    ...hsmRoutes(parts),
    ...hsmDomainRoutes(parts),
  });
  app.notFound((c) => {
    const message = `The request URI is not one that the double of Key Vault knows: ${c.req.method} ${c.req.path.slice(0, 200)}`;
    base.log(`keyvault refused ${c.req.method} ${c.req.path.slice(0, 200)}: no such route`);
    return c.json(new KeyVaultRefusal(400, "BadParameter", { message }).body(), 400);
  });
  app.onError((error, c) => {
    if (error instanceof KeyVaultRefusal)
      return c.json(error.body(), { status: error.status, headers: { ...error.headers } });
    base.log(`keyvault failed: ${String(error)}`);
    const message = "Internal server error";
    return c.json({ error: { code: "InternalServerError", message } }, 500);
  });
  return app;
}

/** What the routes of a double work with, from its options. */
export function partsOf(options: KeyVaultDoubleOptions): Parts {
  const { base, signRelease } = options;
  const throttle = createThrottle(base.clock, options.limits);
  return { base, throttle, sha1: options.sha1 ?? false, signRelease };
}

function refuseLarge(): never {
  throw new KeyVaultRefusal(413, "RequestEntityTooLarge", {
    message: `The request's body is larger than ${MAX_BODY_BYTES} bytes.`,
  });
}

function requireVersion(version: string | null): void {
  if (version === null)
    throw badParameter("api-version must be specified in the query of the request.");
  if (!API_VERSIONS.includes(version))
    throw badParameter(
      `The specified version (${version.slice(0, 40)}) is not recognized. Consider using the latest supported version (${API_VERSIONS.at(-1) ?? ""}).`,
    );
}
