import { RESOURCES } from "../../state-kinds.ts";
import type { ResourceDocument } from "../../state-kinds.ts";
import { beginPolling } from "../async-operations.ts";
import { requireAllowed } from "../authorize.ts";
import { deleteResource } from "../delete-resource.ts";
import { ArmRefusal, badRequest, resourceNotFound } from "../refusal.ts";
import { isType, parseResourceId } from "../resource-id.ts";
import type { ResourceId } from "../resource-id.ts";
import { getResource, putResource, requireSpec } from "../resources.ts";
import { listReply, part, route } from "../route.ts";
import type { ArmRequest, Reply, Route } from "../route.ts";
import { INPUTS, UNREGISTERED } from "../state-kinds.ts";
import { typeSpec } from "../type-table.ts";
import { isVaultObject, vaultObject } from "../vault-objects.ts";
import type { Json } from "../type-spec.ts";

const GROUP_TYPE = "Microsoft.Resources/resourceGroups";

/** Resources of every type that the double knows, by their ids. */
export const RESOURCE_ROUTES: readonly Route[] = [
  route("GET", "/subscriptions/:subscription/resources", listAll),
  route("GET", "/subscriptions/:subscription/resourceGroups/:group/resources", listAll),
  route("PUT", ":id*", put),
  route("PATCH", ":id*", patch),
  route("GET", ":id*", get),
  route("HEAD", ":id*", (request) => ({
    status: find(request, idOf(request)) === null ? 404 : 204,
  })),
  route("DELETE", ":id*", remove),
  route("POST", ":id*/:action", act),
];

async function put(request: ArmRequest): Promise<Reply> {
  const { context, apiVersion, body, principal } = request;
  const id = idOf(request);
  requireRegistered(request, id);
  const { document, isNew } = await putResource(context, { id, apiVersion, body, principal });
  const shown = getResource(context, id.key) ?? document;
  const spec = typeSpec(id.type);
  const isSlow = spec?.isSlow === true;
  return {
    status: isNew ? (spec?.madeStatus ?? 201) : 200,
    body: shown,
    ...(isSlow ? { headers: polling(request, id) } : {}),
  };
}

/** A merge patch on what the last PUT said. @see RFC 7396 */
async function patch(request: ArmRequest): Promise<Reply> {
  const { context, apiVersion, principal } = request;
  const id = idOf(request);
  const document = find(request, id);
  if (document === null) throw resourceNotFound(id.id);
  const input = context.state.get(INPUTS, id.key)?.body ?? {};
  const body = merge(input, request.body) as Json;
  const result = await putResource(context, { id, apiVersion, body, principal });
  return { status: 200, body: result.document };
}

function get(request: ArmRequest): Reply {
  const { context, apiVersion, principal } = request;
  const text = request.path.replace(/\/+$/, "");
  const id = parseResourceId(text);
  if (id === null) return listOfType(request, text);
  requireSpec(id.type, apiVersion);
  requireAllowed(context, principal, { action: `${id.type}/read`, scope: id.id });
  const document = isVaultObject(id)
    ? vaultObject(context.state, id)
    : getResource(context, id.key);
  if (document === null) throw resourceNotFound(id.id);
  return { status: 200, body: document };
}

async function remove(request: ArmRequest): Promise<Reply> {
  const { context, apiVersion, principal } = request;
  const id = idOf(request);
  requireSpec(id.type, apiVersion);
  const was = await deleteResource(context, { id, principal });
  if (!was) return { status: 204 };
  if (typeSpec(id.type)?.isSlow !== true) return { status: 200 };
  const scope = `/subscriptions/${id.subscriptionId ?? ""}`;
  return { status: 202, headers: beginPolling(context, { scope, follows: null, kind: "result" }) };
}

function act(request: ArmRequest): Reply {
  const { context, principal, apiVersion } = request;
  const id = parseResourceId(part(request, "id"));
  const action = part(request, "action");
  if (id === null) throw notThere(request);
  const spec = requireSpec(id.type, apiVersion);
  requireAllowed(context, principal, { action: `${spec.type}/${action}/action`, scope: id.id });
  const document = getResource(context, id.key);
  if (document === null) throw resourceNotFound(id.id);
  const run = spec.actions?.[action.toLowerCase()];
  if (run === undefined) throw notThere(request);
  return { status: 200, body: run(document, context) };
}

/** GET of a collection: SCOPE/providers/TYPE, or the children of a resource. */
function listOfType(request: ArmRequest, text: string): Reply {
  const { context, apiVersion, principal } = request;
  const sample = parseResourceId(`${text}/x`);
  const spec = sample === null ? null : typeSpec(sample.type);
  if (sample === null || spec === null) throw notThere(request);
  requireSpec(spec.type, apiVersion);
  const above = sample.parent ?? sample.scope;
  requireAllowed(context, principal, { action: `${spec.type}/read`, scope: above });
  const isOfSubscription = /^\/subscriptions\/[^/]+$/.test(above);
  const found = context.state
    .list(RESOURCES, { prefix: `${above.toLowerCase()}/` })
    .filter(({ document }) => isType(document.type, spec.type))
    .filter(({ id }) => isOfSubscription || isDirectly(id, text));
  return listReply(found.map(({ id, document }) => getResource(context, id) ?? document));
}

function isDirectly(key: string, collection: string): boolean {
  return key.slice(0, key.lastIndexOf("/")) === collection.toLowerCase();
}

/** What is tracked in a subscription or group, with the filters of `az resource list`. */
function listAll(request: ArmRequest): Reply {
  const { context, principal, query } = request;
  const group = request.parts["group"];
  const subscription = part(request, "subscription").toLowerCase();
  const prefix = `/subscriptions/${subscription}/resourcegroups/${group === undefined ? "" : `${group.toLowerCase()}/`}`;
  const filter = query.get("$filter") ?? "";
  const [, type] = /resourceType eq '([^']+)'/i.exec(filter) ?? [];
  const [, name] = /\bname eq '([^']+)'/i.exec(filter) ?? [];
  const found = context.state
    .list(RESOURCES, { prefix })
    .map(({ document }) => document)
    .filter((document) => isListed(document))
    .filter((document) => type === undefined || isType(document.type, type))
    .filter((document) => name === undefined || document.name === name)
    .filter((document) =>
      context.authority.allows(principal, {
        action: `${document.type}/read`,
        isDataAction: false,
        scope: document.id,
      }),
    );
  // Without their properties, as ARM lists them.
  return listReply(found.map((document) => withoutProperties(document)));
}

function withoutProperties({ properties: _properties, ...rest }: ResourceDocument): Json {
  return rest;
}

function isListed(document: ResourceDocument): boolean {
  return document.type !== GROUP_TYPE && typeSpec(document.type)?.isTracked === true;
}

function find(request: ArmRequest, id: ResourceId): ResourceDocument | null {
  const { context, apiVersion, principal } = request;
  requireSpec(id.type, apiVersion);
  requireAllowed(context, principal, { action: `${id.type}/read`, scope: id.id });
  return getResource(context, id.key);
}

function idOf(request: ArmRequest): ResourceId {
  const id = parseResourceId(part(request, "id"));
  if (id === null) throw notThere(request);
  return id;
}

function requireRegistered({ context }: ArmRequest, id: ResourceId): void {
  const namespace = id.type.split("/")[0] ?? "";
  const key = `${id.subscriptionId ?? ""}/${namespace}`.toLowerCase();
  if (context.state.get(UNREGISTERED, key) === null) return;
  throw new ArmRefusal(409, "MissingSubscriptionRegistration", {
    message: `The subscription is not registered to use namespace '${namespace}'. See https://aka.ms/rps-not-found for how to register subscriptions.`,
  });
}

function polling({ context }: ArmRequest, id: ResourceId): Readonly<Record<string, string>> {
  const scope = `/subscriptions/${id.subscriptionId ?? ""}`;
  return beginPolling(context, { scope, follows: null, kind: "status" });
}

function notThere({ method, path }: ArmRequest): ArmRefusal {
  return badRequest(
    "InvalidResourceType",
    `The double of Azure has no ${method} ${path.slice(0, 300)}.`,
  );
}

function merge(target: unknown, patched: unknown): unknown {
  if (typeof patched !== "object" || patched === null || Array.isArray(patched)) return patched;
  const result: Record<string, unknown> =
    typeof target === "object" && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patched))
    if (value === null) delete result[name];
    else result[name] = merge(result[name], value);
  return result;
}
