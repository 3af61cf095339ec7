import { CONTAINER_ROLES } from "./container-roles.ts";
import { GENERAL_ROLES } from "./general-roles.ts";
import type { RoleDefinition } from "./role-definition.ts";
import { STORAGE_ROLES } from "./storage-roles.ts";
import { VAULT_ROLES } from "./vault-roles.ts";

/** The built-in roles that the double knows; others are refused at their assignment. */
export const BUILT_IN_ROLES: readonly RoleDefinition[] = [
  ...GENERAL_ROLES,
  ...VAULT_ROLES,
  ...STORAGE_ROLES,
  ...CONTAINER_ROLES,
];

const BY_NAME = new Map(BUILT_IN_ROLES.map((role) => [role.name, role]));

/** The built-in role of a role definition's id (its GUID, or a path that ends with it), or null. */
export function builtInRole(roleDefinitionId: string): RoleDefinition | null {
  return BY_NAME.get(roleDefinitionId.split("/").at(-1)?.toLowerCase() ?? "") ?? null;
}
