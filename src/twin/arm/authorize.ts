import type { TwinPrincipal } from "../service.ts";
import { ArmRefusal } from "./refusal.ts";
import { denyingStack } from "./stacks/stack-documents.ts";
import type { ArmContext } from "./type-spec.ts";

/** What tokens for ARM are for. */
export const ARM_AUDIENCES = [
  "https://management.azure.com",
  "https://management.core.windows.net",
];

type Asked = { readonly action: string; readonly scope: string };

/** Whether the principal may do an action of the control plane, and no stack forbids it. */
export function isAllowed(context: ArmContext, principal: TwinPrincipal, asked: Asked): boolean {
  return (
    context.authority.allows(principal, { ...asked, isDataAction: false }) &&
    denyingStack(context.state, { principal, ...asked }) === null
  );
}

/** @throws ArmRefusal AuthorizationFailed, DenyAssignmentAuthorizationFailed */
export function requireAllowed(context: ArmContext, principal: TwinPrincipal, asked: Asked): void {
  const who = `The client '${principal.applicationId ?? principal.objectId}' with object id '${principal.objectId}'`;
  if (!context.authority.allows(principal, { ...asked, isDataAction: false }))
    throw new ArmRefusal(403, "AuthorizationFailed", {
      message: `${who} does not have authorization to perform action '${asked.action}' over scope '${asked.scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
    });
  const stack = denyingStack(context.state, { principal, ...asked });
  if (stack !== null)
    throw new ArmRefusal(403, "DenyAssignmentAuthorizationFailed", {
      message: `${who} has permission to perform action '${asked.action}' on scope '${asked.scope}'; however, the access is denied because of the deny assignment with name 'Deny assignment '${stack}' created by Deployment Stack '${stack}'.'.`,
    });
}
