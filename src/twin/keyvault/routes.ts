import type { Context, Hono } from "hono";
import type { TwinPrincipal } from "../service.ts";
import type { TwinBase } from "../service.ts";
import { requireAllowed } from "./access.ts";
import type { DataAction } from "./access.ts";
import { requireActivated } from "./hsm-domain.ts";
import type { Instance } from "./instance.ts";
import type { LimitClass, Throttle } from "./throttle.ts";

/** What the routes of a double work with. */
export type Parts = {
  readonly base: TwinBase;
  readonly throttle: Throttle;
  /** Whether RSA-OAEP with SHA-1 is served. */
  readonly sha1: boolean;
  readonly signRelease: (host: string, payload: unknown) => Promise<string>;
};

/** One request that was let in: to an instance that exists, by a principal that is known. */
export type Call = {
  readonly instance: Instance;
  readonly principal: TwinPrincipal;
  /** With the instance's host: what next links are made of. */
  readonly url: URL;
  readonly apiVersion: string;
  readonly parameter: (name: string) => string;
  readonly body: () => Promise<Uint8Array>;
};

/** Hono's variables of a call. */
export type CallVariables = {
  readonly Variables: {
    readonly instance: Instance;
    readonly principal: TwinPrincipal;
    readonly url: URL;
  };
};

/** How a route is let in and counted. */
export type Gate = {
  readonly action: DataAction;
  /** What a role may be assigned at, besides the vault: `keys` gives keys/NAME of the path. */
  readonly object: "keys" | "secrets" | "certificates" | null;
  /** `other` where it is not given. */
  readonly limit?: LimitClass;
  /** Whether a Managed HSM that is not activated takes it. */
  readonly isForActivation?: true;
};

/** What a route answers: 200 with JSON, another status, or 204 for nothing. */
export type Answer = {
  readonly json: Readonly<Record<string, unknown>> | null;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A route: its gate, and what it does with a call that is let in. */
export type Route = Gate & { readonly run: (call: Call) => Answer | Promise<Answer> };

/** Adds routes by METHOD PATH. */
export function addRoutes(
  app: Hono<CallVariables>,
  parts: Parts,
  routes: Readonly<Record<string, Route>>,
): void {
  for (const [place, route] of Object.entries(routes)) {
    const [method = "", path = ""] = place.split(" ");
    app.on(method, path, async (c: Context<CallVariables>) => {
      const call = callOf(c);
      const { instance, principal } = call;
      parts.throttle(instance, route.limit ?? "other");
      if (route.isForActivation !== true) requireActivated(parts.base.state, instance);
      const object = route.object === null ? null : `${route.object}/${call.parameter("name")}`;
      const { action } = route;
      requireAllowed(parts.base, { instance, principal, action, object });
      const { json, status, headers } = await route.run(call);
      if (json === null) return c.body(null, 204);
      return new Response(JSON.stringify(json), {
        status: status ?? 200,
        headers: {
          "content-type": "application/json; charset=utf-8",
          "cache-control": "no-cache",
          ...headers,
        },
      });
    });
  }
}

function callOf(c: Context<CallVariables>): Call {
  const url = c.get("url");
  return {
    instance: c.get("instance"),
    principal: c.get("principal"),
    url,
    apiVersion: url.searchParams.get("api-version") ?? "",
    parameter: (name) => c.req.param(name) ?? "",
    body: async () => new Uint8Array(await c.req.arrayBuffer()),
  };
}
