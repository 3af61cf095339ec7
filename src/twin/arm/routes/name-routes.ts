import { beginPolling } from "../async-operations.ts";
import { requireAllowed } from "../authorize.ts";
import { deletedKey, dropExpired, nameProblem } from "../names.ts";
import { ArmRefusal } from "../refusal.ts";
import { changeOf } from "../resources.ts";
import { listReply, part, requireVersion, route } from "../route.ts";
import type { ArmRequest, Reply, Route } from "../route.ts";
import { DELETED } from "../state-kinds.ts";
import { textAt } from "../type-spec.ts";
import type { Json } from "../type-spec.ts";
import { typeSpec } from "../type-table.ts";
import { isPurgeProtected } from "../types/key-vaults.ts";

const SUBSCRIPTION = "/subscriptions/:subscription/providers";

/** The names that are unique in all of Azure, and the vaults that are deleted and not yet purged. */
export const NAME_ROUTES: readonly Route[] = [
  ...(
    [
      ["Microsoft.KeyVault", "checkNameAvailability", "vault"],
      ["Microsoft.KeyVault", "checkMhsmNameAvailability", "vault"],
      ["Microsoft.Storage", "checkNameAvailability", "storage"],
      ["Microsoft.ContainerRegistry", "checkNameAvailability", "registry"],
    ] as const
  ).map(([namespace, action, word]) =>
    route("POST", `${SUBSCRIPTION}/${namespace}/${action}`, (request) => check(request, word)),
  ),
  ...(
    [
      ["deletedVaults", "Microsoft.KeyVault/vaults"],
      ["deletedManagedHSMs", "Microsoft.KeyVault/managedHSMs"],
    ] as const
  ).flatMap(([noun, type]) => {
    const one = `${SUBSCRIPTION}/Microsoft.KeyVault/locations/:location/${noun}/:name`;
    return [
      route("GET", `${SUBSCRIPTION}/Microsoft.KeyVault/${noun}`, (request) =>
        listDeleted(request, type),
      ),
      route("GET", one, (request) => ({
        status: 200,
        body: deletedBody(requireDeleted(request, type)),
      })),
      route("POST", `${one}/purge`, async (request) => purge(request, type)),
    ];
  }),
];

type Deleted = {
  readonly document: Json & { readonly properties: Json };
  readonly deletedMs: number;
  readonly purgeMs: number;
};

function check(request: ArmRequest, word: string): Reply {
  const { context, body } = request;
  dropExpired(context);
  const problem = nameProblem(context, word, textAt(body, "name"));
  if (problem === null) return { status: 200, body: { nameAvailable: true } };
  const { reason, message } = problem;
  return { status: 200, body: { nameAvailable: false, reason, message } };
}

function listDeleted(request: ArmRequest, type: string): Reply {
  const { context, principal } = request;
  requireKnownVersion(request, type);
  const scope = `/subscriptions/${part(request, "subscription")}`;
  const action = "Microsoft.KeyVault/deletedVaults/read";
  requireAllowed(context, principal, { action, scope });
  dropExpired(context);
  const all = context.state.list(DELETED, { prefix: `${type.toLowerCase()}/` });
  return listReply(all.map(({ document }) => deletedBody(document)));
}

/** A vault without purge protection is gone at once. @throws ArmRefusal where it is protected */
async function purge(request: ArmRequest, type: string): Promise<Reply> {
  const { context, principal } = request;
  const found = requireDeleted(request, type);
  const name = part(request, "name");
  const scope = `/subscriptions/${part(request, "subscription")}`;
  const location = `${scope}/providers/Microsoft.KeyVault/locations/${part(request, "location")}`;
  const action = "Microsoft.KeyVault/locations/deletedVaults/purge/action";
  requireAllowed(context, principal, { action, scope: `${location}/deletedVaults/${name}` });
  if (isPurgeProtected(found.document.properties))
    throw new ArmRefusal(405, "MethodNotAllowed", {
      message: "Operation 'DeletedVaultPurge' is not allowed.",
    });
  const key = deletedKey(type, name);
  const deleted = context.state.get(DELETED, key);
  if (deleted !== null) await context.notify(changeOf(deleted.document, "purge"));
  context.state.remove(DELETED, key);
  return { status: 202, headers: beginPolling(context, { scope, follows: null, kind: "result" }) };
}

function requireDeleted(request: ArmRequest, type: string): Deleted {
  const { context, principal } = request;
  requireKnownVersion(request, type);
  const scope = `/subscriptions/${part(request, "subscription")}`;
  const action = "Microsoft.KeyVault/locations/deletedVaults/read";
  requireAllowed(context, principal, { action, scope });
  dropExpired(context);
  const found = context.state.get(DELETED, deletedKey(type, part(request, "name")));
  if (found !== null) return found;
  throw new ArmRefusal(404, "VaultNotFound", {
    message: `The deleted vault '${part(request, "name")}' was not found.`,
  });
}

function requireKnownVersion(request: ArmRequest, type: string): void {
  requireVersion(request, typeSpec(type)?.apiVersions ?? [], type);
}

/** @see Microsoft.KeyVault, DeletedVault */
function deletedBody({ document, deletedMs, purgeMs }: Deleted): Json {
  const { properties } = document;
  const id = textAt(document, "id");
  const subscription = id.split("/").slice(0, 3).join("/");
  const noun = textAt(document, "type").endsWith("managedHSMs")
    ? "deletedManagedHSMs"
    : "deletedVaults";
  const location = textAt(document, "location");
  const name = textAt(document, "name");
  return {
    id: `${subscription}/providers/Microsoft.KeyVault/locations/${location}/${noun}/${name}`,
    name,
    type: `Microsoft.KeyVault/${noun}`,
    properties: {
      [noun === "deletedVaults" ? "vaultId" : "mhsmId"]: id,
      location,
      tags: document["tags"] ?? {},
      deletionDate: new Date(deletedMs).toISOString(),
      scheduledPurgeDate: new Date(purgeMs).toISOString(),
      purgeProtectionEnabled: isPurgeProtected(properties),
    },
  };
}
