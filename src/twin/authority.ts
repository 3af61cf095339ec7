import type { Clock } from "../base/index.ts";
import { verifyAccessToken } from "./entra/tokens.ts";
import { builtInRole } from "./rbac/built-in-roles.ts";
import { isWithinScope, roleAllows } from "./rbac/role-definition.ts";
import type { TwinAuthority } from "./service.ts";
import type { SigningKey } from "./signing-key.ts";
import { RESOURCES, ROLE_ASSIGNMENTS } from "./state-kinds.ts";
import type { TwinState } from "./state.ts";

/**
 * What the services ask of each other, computed from the state at each call: a role assignment that
 * ARM's double takes away is refused by the next request.
 */
export function createTwinAuthority(options: {
  readonly state: TwinState;
  readonly key: SigningKey;
  readonly clock: Clock;
}): TwinAuthority {
  const { state, key, clock } = options;
  return {
    principalOf: ({ authorization }, audiences) =>
      verifyAccessToken(authorization, { audiences, key, state, nowMs: clock() }),
    allows: (principal, asked) =>
      state
        .list(ROLE_ASSIGNMENTS)
        .some(({ document: { principalId, scope, roleDefinitionId } }) => {
          if (principalId !== principal.objectId || !isWithinScope(asked.scope, scope))
            return false;
          const role = builtInRole(roleDefinitionId);
          return role !== null && roleAllows(role, asked);
        }),
    resource: (type, name) => {
      const [found] = state.list(RESOURCES, { suffix: idSuffix(type, name) });
      return found === undefined ? null : { id: found.document.id, body: found.document };
    },
  };
}

/** How the id of a resource ends: /providers/A.B/c/NAME1/d/NAME2, in small letters. */
function idSuffix(type: string, name: string): string {
  const [provider = "", ...types] = type.toLowerCase().split("/");
  const names = name.toLowerCase().split("/");
  const pairs = types.map((part, index) => `${part}/${names[index] ?? ""}`);
  return `/providers/${provider}/${pairs.join("/")}`;
}
