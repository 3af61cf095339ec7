import { z } from "zod";
import { RESOURCES } from "../state-kinds.ts";
import { defineKind } from "../state.ts";
import type { TwinState } from "../state.ts";
import type { Instance } from "./instance.ts";
import { forbidden, KeyVaultRefusal } from "./refusal.ts";

/** Whether ARM may make and list keys. @see learn.microsoft.com/azure/key-vault/managed-hsm/authorize-azure-resource-manager */
export const ARM_SETTING = "AllowKeyManagementOperationsThroughARM";

/** What Azure says of an HSM whose security domain nobody has downloaded. */
const NOT_ACTIVATED =
  "Your HSM has been provisioned, but cannot be used for cryptographic operations until it is activated. To activate the HSM, download the security domain.";

/** What its administrators did with a Managed HSM, by its host; none before its activation. */
export const HSM_DOMAINS = defineKind(
  "keyvault-hsm-domain",
  z.strictObject({
    /** Seconds since 1970. */
    activated: z.number(),
    /** SHA-256 thumbprints of the certificates of the last download, base64url. */
    certificates: z.array(z.string()),
    /** How many of their private keys open the security domain. */
    required: z.number(),
    /** The setting of that name. */
    allowsArm: z.boolean(),
  }),
);

/** What ARM shows of a Managed HSM's security domain. @see Microsoft.KeyVault/managedHSMs, 2026-02-01 */
export function securityDomainProperties(state: TwinState, host: string) {
  return state.get(HSM_DOMAINS, host) === null
    ? { activationStatus: "NotActivated", activationStatusMessage: NOT_ACTIVATED }
    : {
        activationStatus: "Active",
        activationStatusMessage:
          "Your HSM has been activated and can be used for cryptographic operations.",
      };
}

/** Keeps a download of the security domain; the first one activates the HSM, and ARM shows it. */
export function keepDownload(
  state: TwinState,
  instance: Instance,
  download: {
    readonly at: number;
    readonly certificates: readonly string[];
    readonly required: number;
  },
): void {
  const { host, id } = instance;
  const { at, certificates, required } = download;
  state.transaction(() => {
    const before = state.get(HSM_DOMAINS, host);
    state.put(HSM_DOMAINS, host, {
      activated: before?.activated ?? at,
      allowsArm: before?.allowsArm ?? false,
      certificates: [...certificates],
      required,
    });
    const resource = state.get(RESOURCES, id.toLowerCase());
    if (resource === null) return;
    const securityDomain = securityDomainProperties(state, host);
    const properties = { ...resource.properties, securityDomainProperties: securityDomain };
    state.put(RESOURCES, id.toLowerCase(), { ...resource, properties });
  });
}

/** Refuses all use of a Managed HSM that is not activated. @throws KeyVaultRefusal 403 */
export function requireActivated(state: TwinState, { kind, host }: Instance): void {
  if (kind === "hsm" && state.get(HSM_DOMAINS, host) === null) throw forbidden(NOT_ACTIVATED);
}

/** Refuses ARM's keys where the HSM's administrators do not trust ARM. @throws KeyVaultRefusal */
export function requireArmAllowed(state: TwinState, { kind, host }: Instance): void {
  if (kind !== "hsm" || state.get(HSM_DOMAINS, host)?.allowsArm === true) return;
  throw new KeyVaultRefusal(400, "BadRequest", {
    message: `Key management operations through Azure Resource Manager are not allowed for this Managed HSM: an administrator has to enable the setting '${ARM_SETTING}'.`,
  });
}
