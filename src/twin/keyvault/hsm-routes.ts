import { z } from "zod";
import { toBase64Url } from "../../base/index.ts";
import type { DataAction } from "./access.ts";
import { parseBody } from "./forms.ts";
import { HSM_ASSIGNMENTS, HSM_ROLES } from "./hsm-roles.ts";
import { badParameter, KeyVaultRefusal } from "./refusal.ts";
import type { Call, Parts, Route } from "./routes.ts";

const MAX_RANDOM_BYTES = 128;
const AUTHORIZATION = "providers/Microsoft.Authorization";

const randomSchema = z.strictObject({ count: z.int().min(1).max(MAX_RANDOM_BYTES) });
const assignmentSchema = z.strictObject({
  properties: z.strictObject({
    principalId: z.guid(),
    /** Ends with the role's GUID. */
    roleDefinitionId: z.string().max(300),
    principalType: z.string().optional(),
  }),
});

const act = (hsm: string): DataAction => ({
  vault: null,
  hsm: `Microsoft.KeyVault/managedHsm/${hsm}`,
});

/** What a Managed HSM has and a vault has not: random bytes, and role assignments of its own. */
export function hsmRoutes(parts: Parts): Readonly<Record<string, Route>> {
  const routes: Record<string, Route> = {
    "POST /rng": {
      action: act("rng/action"),
      object: null,
      run: async ({ body }) => {
        const { count } = parseBody(randomSchema, await body());
        return { json: { value: toBase64Url(parts.base.random(count)) } };
      },
    },
  };
  // The scopes "/", "/keys" and "/keys/NAME" stand before the provider in the path.
  for (const prefix of ["", "keys/", "keys/:name/"])
    Object.assign(routes, assignmentRoutes(parts, prefix), {
      [`GET /${prefix}${AUTHORIZATION}/roleDefinitions`]: {
        action: act("roleDefinitions/read/action"),
        object: null,
        run: () => ({ json: { value: HSM_ROLES.map(definitionOf) } }),
      } satisfies Route,
    });
  return routes;
}

function assignmentRoutes(parts: Parts, prefix: string): Readonly<Record<string, Route>> {
  const { state } = parts.base;
  const path = `/${prefix}${AUTHORIZATION}/roleAssignments`;
  const found = (call: Call) => {
    const document = state.get(HSM_ASSIGNMENTS, idOf(call));
    if (document !== null) return document;
    throw new KeyVaultRefusal(404, "RoleAssignmentNotFound", {
      message: "Requested role assignment not found",
    });
  };
  return {
    [`GET ${path}`]: {
      action: act("roleAssignments/read/action"),
      object: null,
      run: ({ instance }) => ({
        json: {
          value: state
            .list(HSM_ASSIGNMENTS, { prefix: `${instance.host}/` })
            .map(({ document }) => shown(document)),
        },
      }),
    },
    [`PUT ${path}/:assignment`]: {
      action: act("roleAssignments/write/action"),
      object: null,
      run: async (call) => {
        const { properties } = parseBody(assignmentSchema, await call.body());
        const role = properties.roleDefinitionId.split("/").at(-1) ?? "";
        if (!HSM_ROLES.some(({ id }) => id === role))
          throw badParameter(`The role definition ${role} is not one that the double knows.`);
        const name = call.parameter("assignment");
        const scope = scopeOf(prefix, call);
        const document = { name, principalId: properties.principalId, role, scope };
        state.put(HSM_ASSIGNMENTS, idOf(call), document);
        return { status: 201, json: shown(document) };
      },
    },
    [`GET ${path}/:assignment`]: {
      action: act("roleAssignments/read/action"),
      object: null,
      run: (call) => ({ json: shown(found(call)) }),
    },
    [`DELETE ${path}/:assignment`]: {
      action: act("roleAssignments/delete/action"),
      object: null,
      run: (call) => {
        const document = found(call);
        state.remove(HSM_ASSIGNMENTS, idOf(call));
        return { json: shown(document) };
      },
    },
  };
}

function idOf(call: Call): string {
  return `${call.instance.host}/${call.parameter("assignment")}`;
}

function scopeOf(prefix: string, call: Call): string {
  if (prefix === "") return "/";
  return prefix === "keys/" ? "/keys" : `/keys/${call.parameter("name")}`;
}

function definitionOf(role: (typeof HSM_ROLES)[number]) {
  const id = `Microsoft.KeyVault/${AUTHORIZATION}/roleDefinitions/${role.id}`;
  const { roleName, dataActions } = role;
  const permissions = [{ actions: [], notActions: [], dataActions, notDataActions: [] }];
  return {
    id,
    name: role.id,
    type: "Microsoft.Authorization/roleDefinitions",
    properties: { roleName, type: "AKVBuiltInRole", permissions, assignableScopes: ["/"] },
  };
}

function shown(assignment: z.infer<(typeof HSM_ASSIGNMENTS)["schema"]>) {
  const { name, principalId, role, scope } = assignment;
  const roleDefinitionId = `Microsoft.KeyVault/${AUTHORIZATION}/roleDefinitions/${role}`;
  return {
    id: `/${AUTHORIZATION}/roleAssignments/${name}`,
    name,
    type: "Microsoft.Authorization/roleAssignments",
    properties: { principalId, roleDefinitionId, scope },
  };
}
