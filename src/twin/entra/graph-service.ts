import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import type { TwinBase, TwinService } from "../service.ts";
import { PRINCIPALS } from "../state-kinds.ts";
import type { PrincipalDocument } from "../state-kinds.ts";

const HOST = "graph.microsoft.com";
const MAX_BODY_BYTES = 64 * 1024;
const idsSchema = z.object({ ids: z.array(z.string()).max(1000) });

/**
 * As much of Microsoft Graph as tools need to give a role assignment's principal a name: service
 * principals by id, by application id and by name. There are no users and groups.
 * @see learn.microsoft.com/graph/api/resources/serviceprincipal
 */
export function graphService({ state, authority }: TwinBase): TwinService {
  const app = new Hono();
  const all = (): readonly PrincipalDocument[] =>
    state.list(PRINCIPALS).map(({ document }) => document);
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES }));
  app.use(async (c, next) => {
    const authorization = c.req.header("authorization");
    const caller = await authority.principalOf({ authorization }, [`https://${HOST}`]);
    if (caller === null)
      return c.json(failure("InvalidAuthenticationToken", "The access token is not valid."), 401);
    return next();
  });
  app.post("/v1.0/directoryObjects/getByIds", async (c) => {
    const parsed = idsSchema.safeParse(await c.req.json());
    if (!parsed.success) return c.json(failure("Request_BadRequest", "expected ids"), 400);
    const { ids } = parsed.data;
    return c.json({
      value: all()
        .filter(({ objectId }) => ids.includes(objectId))
        .map(bodyOf),
    });
  });
  app.get("/v1.0/servicePrincipals", (c) => {
    const filter = c.req.query("$filter") ?? "";
    const [, wanted = ""] = /eq '([^']+)'/.exec(filter) ?? [];
    const found = all().filter(({ clientId, displayName }) =>
      filter.includes("displayName") ? displayName === wanted : clientId === wanted,
    );
    return c.json({ value: found.map(bodyOf) });
  });
  app.get("/v1.0/servicePrincipals/:id", (c) => {
    const found = state.get(PRINCIPALS, c.req.param("id"));
    return found === null ? c.json(notFound(), 404) : c.json(bodyOf(found));
  });
  app.get("/v1.0/users", (c) => c.json({ value: [] }));
  app.get("/v1.0/groups", (c) => c.json({ value: [] }));
  app.notFound((c) => c.json(notFound(), 404));
  const listener = getRequestListener(app.fetch);
  return {
    name: "graph",
    serves: (host) => host === HOST,
    handle: (request, response) => void listener(request, response),
  };
}

function bodyOf(principal: PrincipalDocument): Readonly<Record<string, unknown>> {
  const { objectId, clientId, displayName, kind } = principal;
  return {
    "@odata.type": "#microsoft.graph.servicePrincipal",
    id: objectId,
    appId: clientId,
    displayName,
    servicePrincipalNames: [clientId],
    servicePrincipalType: kind === "managed-identity" ? "ManagedIdentity" : "Application",
  };
}

function notFound(): ReturnType<typeof failure> {
  return failure("Request_ResourceNotFound", "The resource does not exist in the double of Graph.");
}

function failure(
  code: string,
  message: string,
): { readonly error: { readonly code: string; readonly message: string } } {
  return { error: { code, message } };
}
