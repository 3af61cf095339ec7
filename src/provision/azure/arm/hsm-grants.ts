import type { AzureSection } from "../config/azure-section.ts";
import type { KeyVaultConfig, OperatorConfig } from "../config/services.ts";
import { guidFrom } from "./expressions.ts";
import { ownIdentities } from "./identities.ts";
import { identityPlace, literalIdOf, vaultPlace } from "./site.ts";

/** A role inside a Managed HSM, and the most that it lets its holder do with a key. */
export type HsmRole = { readonly name: string; readonly gives: "read" | "release" | "unwrap" };

/**
 * The roles inside a Managed HSM that ppml has given. They are its own: ARM's mean nothing in it.
 * @see learn.microsoft.com/azure/key-vault/managed-hsm/built-in-roles
 */
export const HSM_ROLES = {
  auditor: { name: "Managed HSM Crypto Auditor", gives: "read" },
  encryptionUser: { name: "Managed HSM Crypto Service Encryption User", gives: "unwrap" },
  releaseUser: { name: "Managed HSM Crypto Service Release User", gives: "release" },
  user: { name: "Managed HSM Crypto User", gives: "unwrap" },
} as const satisfies Readonly<Record<string, HsmRole>>;

/** A role inside the section's Managed HSM, for somebody, on one key or on the list of them. */
export type HsmGrant = {
  readonly to:
    | { readonly kind: "identity"; readonly name: string; readonly id: string }
    | { readonly kind: "operator"; readonly operator: OperatorConfig };
  readonly role: HsmRole;
  /** `/keys/NAME`; `/keys` for what reads public halves alone. */
  readonly scope: string;
  /** Whether it is needed once, to fix a key's release policy, and taken back after that. */
  readonly isOnce: boolean;
};

/** Whether a Managed HSM takes keys, as the project file says it. */
export function isActivated({ activated, existing }: KeyVaultConfig): boolean {
  return activated ?? existing !== undefined;
}

/**
 * The roles that a section needs inside its Managed HSM; none where it has no such, or one that is not
 * activated. Only a broker may unwrap, with its own unwrap-only KEKs. An operator gets what applying
 * needs: to read, and, once, to fix the release policies of exportable KEKs. These have no unwrap
 * operation, but who has the role for that could give them one.
 */
export function hsmGrants(section: AzureSection): readonly HsmGrant[] {
  const place = vaultPlace(section);
  const { keyVault } = section;
  if (keyVault === undefined || place?.type !== "Microsoft.KeyVault/managedHSMs") return [];
  if (!isActivated(keyVault)) return [];
  const grant = (to: HsmGrant["to"], role: HsmRole, scope: string): HsmGrant => {
    const isOnce = to.kind === "operator" && role.gives !== "read";
    return { to, role, scope, isOnce };
  };
  const identity = (name: string): HsmGrant["to"] => {
    const id = literalIdOf(section, identityPlace(section, name));
    return { kind: "identity", name, id };
  };
  const exportable = Object.entries(keyVault.keks).filter(([, { use }]) => use === "exportable");
  return [
    ...(ownIdentities(section).includes("vm")
      ? [grant(identity("vm"), HSM_ROLES.auditor, "/keys")]
      : []),
    ...Object.entries(section.identities).flatMap(([name, { role, keks }]) =>
      keks.map((kek) => {
        const kekRole = role === "broker" ? HSM_ROLES.encryptionUser : HSM_ROLES.releaseUser;
        return grant(identity(name), kekRole, `/keys/${kek}`);
      }),
    ),
    ...section.operators.flatMap((operator) => {
      const to = { kind: "operator", operator } as const;
      return [
        grant(to, HSM_ROLES.auditor, "/keys"),
        ...exportable.map(([kek]) => grant(to, HSM_ROLES.user, `/keys/${kek}`)),
      ];
    }),
  ];
}

/** The kinds of a principal as `az` names them. */
const PRINCIPAL_TYPES = {
  user: "User",
  group: "Group",
  servicePrincipal: "ServicePrincipal",
} as const;

/**
 * The command that gives a role inside a Managed HSM; `objectId` is the holder's in Entra ID. The
 * assignment's name follows from all that it says: given twice, it is one, and an identity that was
 * made anew gets one of its own.
 */
export function hsmRoleCommand(hsm: string, grant: HsmGrant, objectId: string): string {
  const { to, role, scope } = grant;
  const kind = to.kind === "identity" ? "ServicePrincipal" : PRINCIPAL_TYPES[to.operator.kind];
  const name = guidFrom(hsm.toLowerCase(), scope, role.name, objectId.toLowerCase());
  return `az keyvault role assignment create --hsm-name ${hsm} --name ${name} --role "${role.name}" --assignee-object-id ${objectId} --assignee-principal-type ${kind} --scope ${scope}`;
}

/** The command that takes a role back; where it does not stand, it does nothing. */
export function hsmRoleEndCommand(hsm: string, grant: HsmGrant, objectId: string): string {
  const { role, scope } = grant;
  return `az keyvault role assignment delete --hsm-name ${hsm} --role "${role.name}" --assignee-object-id ${objectId} --scope ${scope}`;
}
