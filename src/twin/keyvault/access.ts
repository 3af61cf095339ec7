import type { TwinAuthority, TwinPrincipal } from "../service.ts";
import { hsmAllows } from "./hsm-roles.ts";
import type { Instance } from "./instance.ts";
import { forbidden, KeyVaultRefusal } from "./refusal.ts";
import type { TwinState } from "../state.ts";

const RESOURCES = {
  vault: "https://vault.azure.net",
  hsm: "https://managedhsm.azure.net",
} as const;

/** A data action, as each plane names it; null where that plane has none. */
export type DataAction = { readonly vault: string | null; readonly hsm: string | null };

/**
 * Who asks. Without a valid token the answer is the challenge that clients verify: the tenant to ask
 * for a token, and the resource, whose domain has to be that of the vault.
 * @throws KeyVaultRefusal 401
 */
export async function requirePrincipal(
  authority: TwinAuthority,
  instance: Instance,
  authorization: string | undefined,
): Promise<TwinPrincipal> {
  const resource = RESOURCES[instance.kind];
  const principal = await authority.principalOf({ authorization }, [resource]);
  if (principal !== null && principal.tenantId === instance.tenantId) return principal;
  const issuer = `https://login.microsoftonline.com/${instance.tenantId}`;
  throw new KeyVaultRefusal(401, "Unauthorized", {
    message:
      authorization === undefined
        ? "AKV10000: Request is missing a Bearer or PoP token."
        : "[TokenExpired] Error validating token: the token is expired, or of another issuer, audience or tenant.",
    headers: { "www-authenticate": `Bearer authorization="${issuer}", resource="${resource}"` },
  });
}

/**
 * Refuses what no role assignment gives the principal at the object, the vault or above.
 * @throws KeyVaultRefusal 403
 */
export function requireAllowed(
  parts: { readonly authority: TwinAuthority; readonly state: TwinState },
  asked: {
    readonly instance: Instance;
    readonly principal: TwinPrincipal;
    readonly action: DataAction;
    /** Such as keys/NAME; null for the vault as a whole. */
    readonly object: string | null;
  },
): void {
  const { instance, principal, action, object } = asked;
  const name = action[instance.kind];
  if (name === null)
    throw new KeyVaultRefusal(405, "MethodNotAllowed", {
      message: `The operation is not one of a ${instance.kind === "hsm" ? "Managed HSM" : "vault"}.`,
    });
  if (!instance.rbac)
    throw forbidden(
      "The vault goes by access policies, which the double does not know: set enableRbacAuthorization.",
      "AccessDenied",
    );
  const scope = object === null ? instance.id : `${instance.id}/${object}`;
  const isAllowed =
    instance.kind === "hsm"
      ? hsmAllows(parts.state, { instance, principal, action: name, object })
      : parts.authority.allows(principal, { action: name, isDataAction: true, scope });
  if (isAllowed) return;
  const { applicationId, objectId, tenantId } = principal;
  const caller = `${applicationId === null ? "" : `appid=${applicationId};`}oid=${objectId};iss=https://sts.windows.net/${tenantId}/`;
  throw forbidden(
    `Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: ${caller}\r\nAction: '${name}'\r\nResource: '${scope.toLowerCase()}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: ${instance.name};location=${instance.location}\r\n`,
    "ForbiddenByRbac",
  );
}
