import { createHash, randomUUID } from "node:crypto";
import { toTimestamp } from "../base/index.ts";
import { FEDERATION_AUDIENCE } from "./entra/service-account.ts";
import { BUILT_IN_ROLES } from "./rbac/built-in-roles.ts";
import { createSigningKey } from "./signing-key.ts";
import {
  OIDC_ISSUERS,
  PRINCIPALS,
  ROLE_ASSIGNMENTS,
  SUBSCRIPTIONS,
  TENANTS,
  TWIN,
} from "./state-kinds.ts";
import type { PrincipalDocument } from "./state-kinds.ts";
import type { TwinState } from "./state.ts";

/** Who issues the federated token of the default environment: the double itself. */
export const OWNER_ISSUER = "https://oidc.simulation.invalid/";

/** The subject of that token. */
export const OWNER_SUBJECT = "system:serviceaccount:twin:owner";

type Twin = NonNullable<ReturnType<typeof readTwin>>;

/** Ids that the first start takes, GUIDs in small letters; each that is left out is a random one. */
export type TwinIds = {
  readonly tenantId?: string | undefined;
  readonly subscriptionId?: string | undefined;
  /** The object id of who may do everything at the subscription. */
  readonly ownerObjectId?: string | undefined;
};

/** What the twin is, made where this is its first start: a tenant, a subscription and its owner. */
export async function openTwin(
  state: TwinState,
  options: { readonly nowMs: number; readonly ids?: TwinIds },
): Promise<Twin> {
  const known = readTwin(state);
  if (known !== null) return known;
  const { ids = {} } = options;
  const twin: Twin = {
    tenantId: ids.tenantId ?? randomUUID(),
    subscriptionId: ids.subscriptionId ?? randomUUID(),
    ownerObjectId: ids.ownerObjectId ?? randomUUID(),
    ownerClientId: randomUUID(),
  };
  const issuerKey = await createSigningKey();
  state.transaction(() => {
    const { tenantId, subscriptionId } = twin;
    state.put(TENANTS, tenantId, {
      tenantId,
      displayName: "PPML SIMULATION",
      defaultDomain: "ppml-simulation.onmicrosoft.com",
    });
    state.put(SUBSCRIPTIONS, subscriptionId, {
      subscriptionId,
      tenantId,
      displayName: "PPML SIMULATION",
    });
    state.put(OIDC_ISSUERS, OWNER_ISSUER, { issuer: OWNER_ISSUER, ...issuerKey });
    addPrincipal(state, {
      ...newPrincipal({ tenantId, displayName: "owner" }),
      objectId: twin.ownerObjectId,
      clientId: twin.ownerClientId,
      federatedCredentials: [
        { issuer: OWNER_ISSUER, subject: OWNER_SUBJECT, audiences: [FEDERATION_AUDIENCE] },
      ],
    });
    assignRole(state, {
      principalId: twin.ownerObjectId,
      role: "Owner",
      scope: `/subscriptions/${subscriptionId}`,
      createdBy: twin.ownerObjectId,
      nowMs: options.nowMs,
    });
    state.put(TWIN, "twin", twin);
  });
  return twin;
}

/** A service principal that nobody can log in as yet, with new ids. */
export function newPrincipal(options: {
  readonly tenantId: string;
  readonly displayName: string;
}): PrincipalDocument {
  return {
    ...options,
    objectId: randomUUID(),
    clientId: randomUUID(),
    kind: "service-principal",
    resourceId: null,
    secrets: [],
    federatedCredentials: [],
  };
}

/** Keeps a principal. */
export function addPrincipal(state: TwinState, principal: PrincipalDocument): PrincipalDocument {
  state.put(PRINCIPALS, principal.objectId, principal);
  return principal;
}

/** What the state keeps of a client secret. */
export function storedSecret(
  secret: string,
  expiresMs: number,
): PrincipalDocument["secrets"][number] {
  return { sha256: createHash("sha256").update(secret).digest("hex"), expiresMs };
}

/** Assigns a built-in role by its name ("Key Vault Crypto User") at a scope. */
export function assignRole(
  state: TwinState,
  asked: {
    readonly principalId: string;
    readonly role: string;
    readonly scope: string;
    readonly createdBy: string;
    readonly nowMs: number;
  },
): void {
  const { principalId, scope } = asked;
  const role = BUILT_IN_ROLES.find(({ roleName }) => roleName === asked.role);
  if (role === undefined) throw new RangeError(`the double has no role ${asked.role}`);
  const id = `${scope}/providers/Microsoft.Authorization/roleAssignments/${randomUUID()}`;
  const subscription = /^\/subscriptions\/[^/]+/.exec(scope)?.[0] ?? "";
  state.put(ROLE_ASSIGNMENTS, id.toLowerCase(), {
    id,
    scope,
    principalId,
    principalType: "ServicePrincipal",
    roleDefinitionId: `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${role.name}`,
    createdOn: toTimestamp(asked.nowMs),
    createdBy: asked.createdBy,
    description: null,
  });
}

function readTwin(state: TwinState): {
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly ownerObjectId: string;
  readonly ownerClientId: string;
} | null {
  return state.get(TWIN, "twin");
}
