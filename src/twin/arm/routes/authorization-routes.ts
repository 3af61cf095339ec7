import { ROLE_ASSIGNMENTS } from "../../state-kinds.ts";
import type { RoleAssignmentDocument } from "../../state-kinds.ts";
import { BUILT_IN_ROLES, builtInRole } from "../../rbac/built-in-roles.ts";
import type { RoleDefinition } from "../../rbac/role-definition.ts";
import { isWithinScope } from "../../rbac/role-definition.ts";
import { requireAllowed } from "../authorize.ts";
import { ArmRefusal } from "../refusal.ts";
import { listReply, part, requireVersion, route } from "../route.ts";
import type { ArmRequest, Reply, Route } from "../route.ts";
import type { Json } from "../type-spec.ts";

const AUTHORIZATION = ":scope*/providers/Microsoft.Authorization";
const VERSIONS = [
  "2022-05-01-preview",
  "2022-04-01",
  "2020-10-01-preview",
  "2020-04-01-preview",
  "2018-07-01-preview",
  "2018-01-01-preview",
  "2015-07-01",
];

/** Role definitions and lists of assignments; single assignments are resources like others. */
export const AUTHORIZATION_ROUTES: readonly Route[] = [
  route("GET", `${AUTHORIZATION}/roleDefinitions`, definitions),
  route("GET", `${AUTHORIZATION}/roleDefinitions/:name`, definition),
  route("GET", `${AUTHORIZATION}/roleAssignments`, assignments),
  route("GET", `${AUTHORIZATION}/roleAssignments/:name`, assignment),
  route("GET", `${AUTHORIZATION}/permissions`, permissions),
  route("GET", `${AUTHORIZATION}/denyAssignments`, () => listReply([])),
];

function definitions(request: ArmRequest): Reply {
  allow(request, "Microsoft.Authorization/roleDefinitions/read");
  const [, name] = /roleName eq '([^']+)'/i.exec(request.query.get("$filter") ?? "") ?? [];
  const found = BUILT_IN_ROLES.filter(
    ({ roleName }) => name === undefined || roleName.toLowerCase() === name.toLowerCase(),
  );
  return listReply(found.map((role) => definitionBody(part(request, "scope"), role)));
}

function definition(request: ArmRequest): Reply {
  allow(request, "Microsoft.Authorization/roleDefinitions/read");
  const role = builtInRole(part(request, "name"));
  if (role === null)
    throw new ArmRefusal(404, "RoleDefinitionDoesNotExist", {
      message: `The specified role definition with ID '${part(request, "name")}' does not exist.`,
    });
  return { status: 200, body: definitionBody(part(request, "scope"), role) };
}

/** At the scope, above and below it; `atScope()` leaves out what is below. */
function assignments(request: ArmRequest): Reply {
  allow(request, "Microsoft.Authorization/roleAssignments/read");
  const filter = request.query.get("$filter") ?? "";
  const [, principal] = /(?:principalId eq|assignedTo\()\s*'([^']+)'/i.exec(filter) ?? [];
  const isAtScope = /atScope\(\)/i.test(filter);
  const scope = part(request, "scope");
  const found = request.context.state
    .list(ROLE_ASSIGNMENTS)
    .map(({ document }) => document)
    .filter(
      (one) => isWithinScope(scope, one.scope) || (!isAtScope && isWithinScope(one.scope, scope)),
    )
    .filter((one) => principal === undefined || one.principalId === principal);
  return listReply(found.map((one) => assignmentBody(one)));
}

function assignment(request: ArmRequest): Reply {
  allow(request, "Microsoft.Authorization/roleAssignments/read");
  const found = request.context.state.get(ROLE_ASSIGNMENTS, request.path.toLowerCase());
  if (found !== null) return { status: 200, body: assignmentBody(found) };
  throw new ArmRefusal(404, "RoleAssignmentNotFound", {
    message: `The role assignment '${part(request, "name")}' is not found.`,
  });
}

/** What the caller may do at a scope: one entry for each of its roles. */
function permissions(request: ArmRequest): Reply {
  const { context, principal } = request;
  allow(request, "Microsoft.Authorization/permissions/read");
  const roles = context.state
    .list(ROLE_ASSIGNMENTS)
    .map(({ document }) => document)
    .filter((one) => one.principalId === principal.objectId)
    .filter((one) => isWithinScope(part(request, "scope"), one.scope))
    .flatMap((one) => builtInRole(one.roleDefinitionId) ?? []);
  return listReply(roles.map((role) => permissionOf(role)));
}

function allow(request: ArmRequest, action: string): void {
  const { context, principal } = request;
  requireVersion(request, VERSIONS, "Microsoft.Authorization");
  requireAllowed(context, principal, { action, scope: part(request, "scope") });
}

function definitionBody(scope: string, role: RoleDefinition): Json {
  const [subscription = ""] = /^\/subscriptions\/[^/]+/i.exec(scope) ?? [];
  return {
    id: `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${role.name}`,
    name: role.name,
    type: "Microsoft.Authorization/roleDefinitions",
    properties: {
      roleName: role.roleName,
      type: "BuiltInRole",
      description: role.roleName,
      assignableScopes: ["/"],
      permissions: [permissionOf(role)],
    },
  };
}

function permissionOf({ actions, notActions, dataActions, notDataActions }: RoleDefinition): Json {
  return { actions, notActions, dataActions, notDataActions };
}

function assignmentBody(one: RoleAssignmentDocument): Json {
  const { id, description, ...properties } = one;
  return {
    id,
    name: id.split("/").at(-1),
    type: "Microsoft.Authorization/roleAssignments",
    properties: {
      ...properties,
      updatedOn: one.createdOn,
      updatedBy: one.createdBy,
      condition: null,
      conditionVersion: null,
      delegatedManagedIdentityResourceId: null,
      ...(description === null || description === "" ? {} : { description }),
    },
  };
}
