import { z } from "zod";
import type { TwinAuthority } from "../service.ts";
import { KeyVaultRefusal } from "./refusal.ts";

const VAULT_DOMAIN = ".vault.azure.net";
const HSM_DOMAIN = ".managedhsm.azure.net";
const DEFAULT_RETENTION_DAYS = 90;

/** A vault or Managed HSM that ARM has. */
export type Instance = {
  readonly kind: "vault" | "hsm";
  readonly name: string;
  readonly host: string;
  /** The ARM id: what role assignments are made at. */
  readonly id: string;
  readonly location: string;
  readonly tenantId: string;
  /** Premium vaults and Managed HSMs keep keys in an HSM. */
  readonly hasHsm: boolean;
  readonly retentionDays: number;
  readonly purgeProtection: boolean;
  /** Whether it goes by role assignments: the double knows no access policies. */
  readonly rbac: boolean;
  /** Object ids of a Managed HSM's first administrators. */
  readonly administrators: readonly string[];
};

const bodySchema = z.looseObject({
  location: z.string().default("unknown"),
  properties: z.looseObject({
    tenantId: z.string(),
    sku: z.looseObject({ name: z.string() }).optional(),
    softDeleteRetentionInDays: z.number().optional(),
    enablePurgeProtection: z.boolean().optional(),
    enableRbacAuthorization: z.boolean().optional(),
    initialAdminObjectIds: z.array(z.string()).optional(),
  }),
});

/** Whether a host name is one of Key Vault's data plane. */
export function isKeyVaultHost(host: string): boolean {
  return host.endsWith(VAULT_DOMAIN) || host.endsWith(HSM_DOMAIN);
}

/**
 * The instance of a host name. In Azure the name of one that does not exist has no address.
 * @throws KeyVaultRefusal where ARM has none of that name
 */
export function instanceOf(host: string, authority: TwinAuthority): Instance {
  const kind = host.endsWith(HSM_DOMAIN) ? "hsm" : "vault";
  const name = host.slice(0, -(kind === "hsm" ? HSM_DOMAIN : VAULT_DOMAIN).length);
  const type = kind === "hsm" ? "Microsoft.KeyVault/managedHSMs" : "Microsoft.KeyVault/vaults";
  const found = authority.resource(type, name);
  if (found === null)
    throw new KeyVaultRefusal(404, "ResourceNotFound", {
      message: `No such host is known: ${host.slice(0, 100)}. In Azure its name would not resolve.`,
    });
  const { location, properties } = bodySchema.parse(found.body);
  return {
    kind,
    name,
    host,
    id: found.id,
    location,
    tenantId: properties.tenantId,
    hasHsm: kind === "hsm" || properties.sku?.name.toLowerCase() === "premium",
    retentionDays: properties.softDeleteRetentionInDays ?? DEFAULT_RETENTION_DAYS,
    purgeProtection: properties.enablePurgeProtection === true,
    rbac: kind === "hsm" || properties.enableRbacAuthorization !== false,
    administrators: properties.initialAdminObjectIds ?? [],
  };
}

/** @see learn.microsoft.com/rest/api/keyvault/keys, "DeletionRecoveryLevel" */
export function recoveryLevelOf({ retentionDays, purgeProtection }: Instance): string {
  const base = retentionDays < DEFAULT_RETENTION_DAYS ? "CustomizedRecoverable" : "Recoverable";
  return purgeProtection ? base : `${base}+Purgeable`;
}
