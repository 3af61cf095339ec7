import type { AzureTransport, OnWait } from "../../azure/index.ts";
import type { Mode } from "../../format/kek.ts";
import type { AzureVault } from "./azure-vault.ts";
import type { VaultSecrets } from "./secrets.ts";

/** Where a vault in Azure is, and how it is reached. */
type Place = {
  readonly url: string;
  readonly transport: AzureTransport;
  /** The tenant to log in to; the credential's own where it is null. */
  readonly tenantId: string | null;
  /** Told when a call has waited for some seconds. */
  readonly onWait?: OnWait | undefined;
};

/**
 * Opens Key Vault or Managed HSM as a vault. The SDKs are loaded here, when they are needed; nothing is
 * asked of Azure yet.
 * @throws key.vault_missing where the URL is none of a vault's
 */
export async function openAzureVault(
  options: Place & { readonly mode: Mode },
): Promise<AzureVault> {
  const { url, mode } = options;
  const vault = await import("./azure-vault.ts");
  return new vault.AzureVault({ url, mode, connection: await connect(options) });
}

/**
 * Opens the secrets of a Key Vault, to write the guide's into them. `replace` allows a new version of one
 * that is there.
 * @throws key.vault_missing where the URL is none of a vault's
 */
export async function openVaultSecrets(
  options: Place & { readonly replace: boolean },
): Promise<VaultSecrets> {
  const { url, replace } = options;
  const secrets = await import("./secrets.ts");
  return secrets.vaultSecrets({ url, replace, connection: await connect(options) });
}

async function connect({ transport, tenantId, onWait }: Place) {
  const azure = await import("../../azure/index.ts");
  return azure.connectAzure({ transport, onWait, ...(tenantId === null ? {} : { tenantId }) });
}
