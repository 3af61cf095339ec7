import { RESOURCES, ROLE_ASSIGNMENTS, SUBSCRIPTIONS, TENANTS } from "../../state-kinds.ts";
import type { ResourceDocument } from "../../state-kinds.ts";
import { isWithinScope } from "../../rbac/role-definition.ts";
import { beginPolling } from "../async-operations.ts";
import { requireAllowed } from "../authorize.ts";
import { REGIONS } from "../capacity.ts";
import { ArmRefusal, groupNotFound } from "../refusal.ts";
import { deleteGroup, putGroup } from "../resource-groups.ts";
import { groupIdOf } from "../resource-id.ts";
import { listReply, part, route } from "../route.ts";
import type { ArmRequest, Reply, Route } from "../route.ts";
import { UNREGISTERED } from "../state-kinds.ts";
import { NAMESPACES, TYPE_SPECS } from "../type-table.ts";
import type { ArmContext, Json } from "../type-spec.ts";

const SUBSCRIPTION = "/subscriptions/:subscription";
const GROUP = `${SUBSCRIPTION}/resourceGroups/:group`;
const GROUP_TYPE = "Microsoft.Resources/resourceGroups";
const READ_GROUP = "Microsoft.Resources/subscriptions/resourceGroups/read";

/** Tenants, subscriptions, locations, providers and resource groups. */
export const SUBSCRIPTION_ROUTES: readonly Route[] = [
  route("GET", "/tenants", listTenants),
  route("GET", "/subscriptions", listSubscriptions),
  route("GET", SUBSCRIPTION, (request) => ({
    status: 200,
    body: subscriptionBody(request.context, subscriptionOf(request)),
  })),
  route("GET", `${SUBSCRIPTION}/locations`, listLocations),
  route("GET", `${SUBSCRIPTION}/providers`, (request) =>
    listReply(NAMESPACES.map((namespace) => providerBody(request, namespace))),
  ),
  route("GET", `${SUBSCRIPTION}/providers/:namespace`, getProvider),
  route("POST", `${SUBSCRIPTION}/providers/:namespace/register`, registerProvider),
  route("GET", `${SUBSCRIPTION}/resourceGroups`, listGroups),
  route("GET", GROUP, (request) => ({ status: 200, body: requireGroup(request) })),
  route("HEAD", GROUP, headGroup),
  route("PUT", GROUP, makeGroup),
  route("PATCH", GROUP, patchGroup),
  route("DELETE", GROUP, removeGroup),
];

function listTenants({ context, principal }: ArmRequest): Reply {
  const all = context.state.list(TENANTS).filter(({ id }) => id === principal.tenantId);
  return listReply(
    all.map(({ document }) => ({
      id: `/tenants/${document.tenantId}`,
      tenantId: document.tenantId,
      displayName: document.displayName,
      defaultDomain: document.defaultDomain,
      tenantCategory: "Home",
      countryCode: "US",
    })),
  );
}

/** Only those in which the caller has a role somewhere. */
function listSubscriptions({ context, principal }: ArmRequest): Reply {
  const scopes = context.state
    .list(ROLE_ASSIGNMENTS)
    .filter(({ document }) => document.principalId === principal.objectId)
    .map(({ document }) => document.scope);
  const seen = context.state
    .list(SUBSCRIPTIONS)
    .filter(({ id }) =>
      scopes.some(
        (scope) =>
          isWithinScope(scope, `/subscriptions/${id}`) ||
          isWithinScope(`/subscriptions/${id}`, scope),
      ),
    );
  return listReply(seen.map(({ id }) => subscriptionBody(context, id)));
}

function subscriptionBody({ state }: ArmContext, id: string): Json {
  const document = state.get(SUBSCRIPTIONS, id);
  return {
    id: `/subscriptions/${id}`,
    subscriptionId: id,
    tenantId: document?.tenantId,
    displayName: document?.displayName,
    state: "Enabled",
    subscriptionPolicies: {
      locationPlacementId: "Public_2014-09-01",
      quotaId: "PayAsYouGo_2014-09-01",
      spendingLimit: "Off",
    },
    authorizationSource: "RoleBased",
    managedByTenants: [],
  };
}

function listLocations(request: ArmRequest): Reply {
  const id = subscriptionOf(request);
  return listReply(
    REGIONS.map((name) => ({
      id: `/subscriptions/${id}/locations/${name}`,
      name,
      type: "Region",
      displayName: name,
      regionalDisplayName: name,
      metadata: { regionType: "Physical", regionCategory: "Recommended" },
    })),
  );
}

function getProvider(request: ArmRequest): Reply {
  return { status: 200, body: providerBody(request, knownNamespace(request)) };
}

function registerProvider(request: ArmRequest): Reply {
  const { context, principal } = request;
  const subscription = subscriptionOf(request);
  const namespace = knownNamespace(request);
  const action = `${namespace}/register/action`;
  requireAllowed(context, principal, { action, scope: `/subscriptions/${subscription}` });
  context.state.remove(UNREGISTERED, `${subscription}/${namespace}`.toLowerCase());
  return { status: 200, body: providerBody(request, namespace) };
}

function knownNamespace(request: ArmRequest): string {
  const wanted = part(request, "namespace").toLowerCase();
  const found = NAMESPACES.find((name) => name.toLowerCase() === wanted);
  if (found !== undefined) return found;
  throw new ArmRefusal(404, "InvalidResourceNamespace", {
    message: `The resource namespace '${part(request, "namespace")}' is invalid.`,
  });
}

function providerBody({ context, parts }: ArmRequest, namespace: string): Json {
  const subscription = (parts["subscription"] ?? "").toLowerCase();
  const key = `${subscription}/${namespace}`.toLowerCase();
  const types = TYPE_SPECS.filter(({ type }) => type.startsWith(`${namespace}/`));
  return {
    id: `/subscriptions/${subscription}/providers/${namespace}`,
    namespace,
    registrationState: context.state.get(UNREGISTERED, key)?.state ?? "Registered",
    registrationPolicy: "RegistrationRequired",
    resourceTypes: [
      ...(namespace === "Microsoft.Resources"
        ? [
            resourceType("deployments", ["2025-04-01"]),
            resourceType("resourceGroups", ["2024-11-01"]),
          ]
        : []),
      ...types.map(({ type, apiVersions }) =>
        resourceType(type.slice(namespace.length + 1), apiVersions),
      ),
    ],
  };
}

function resourceType(name: string, apiVersions: readonly string[]): Json {
  return { resourceType: name, locations: REGIONS, apiVersions, capabilities: "None" };
}

function listGroups(request: ArmRequest): Reply {
  const { context, principal } = request;
  const subscription = subscriptionOf(request);
  const prefix = `/subscriptions/${subscription}/resourcegroups/`;
  const groups = context.state
    .list(RESOURCES, { prefix })
    .filter(({ document }) => document.type === GROUP_TYPE)
    .filter(({ document }) =>
      context.authority.allows(principal, {
        action: READ_GROUP,
        isDataAction: false,
        scope: document.id,
      }),
    );
  return listReply(groups.map(({ document }) => document));
}

function headGroup(request: ArmRequest): Reply {
  const { context } = request;
  const key = groupKey(request);
  return { status: context.state.get(RESOURCES, key) === null ? 404 : 204 };
}

function makeGroup(request: ArmRequest): Reply {
  const { context, body, principal } = request;
  const subscriptionId = subscriptionOf(request);
  const name = part(request, "group");
  const { document, isNew } = putGroup(context, { subscriptionId, name, body, principal });
  return { status: isNew ? 201 : 200, body: document };
}

function patchGroup(request: ArmRequest): Reply {
  const { context, body, principal } = request;
  const before = requireGroup(request);
  const subscriptionId = subscriptionOf(request);
  const merged = { location: before["location"], tags: before["tags"], ...body };
  const { name } = before;
  const { document } = putGroup(context, { subscriptionId, name, body: merged, principal });
  return { status: 200, body: document };
}

async function removeGroup(request: ArmRequest): Promise<Reply> {
  const { context, principal } = request;
  const subscriptionId = subscriptionOf(request);
  const name = part(request, "group");
  await deleteGroup(context, { subscriptionId, name, principal });
  const scope = `/subscriptions/${subscriptionId}`;
  return { status: 202, headers: beginPolling(context, { scope, follows: null, kind: "result" }) };
}

function requireGroup(request: ArmRequest): ResourceDocument {
  const { context, principal } = request;
  const subscription = subscriptionOf(request);
  const id = groupIdOf(subscription, part(request, "group"));
  requireAllowed(context, principal, { action: READ_GROUP, scope: id });
  const document = context.state.get(RESOURCES, id.toLowerCase());
  if (document === null) throw groupNotFound(part(request, "group"));
  return document;
}

function groupKey(request: ArmRequest): string {
  return groupIdOf(part(request, "subscription"), part(request, "group")).toLowerCase();
}

/** The subscription's id in small letters: that it is there is checked before any route. */
function subscriptionOf(request: ArmRequest): string {
  return part(request, "subscription").toLowerCase();
}
