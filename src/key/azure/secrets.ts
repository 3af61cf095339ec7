import { type PipelinePolicy, RestError } from "@azure/core-rest-pipeline";
import { SecretClient } from "@azure/keyvault-secrets";
import type { AzureConnection } from "../../azure/index.ts";
import { fromUtf8 } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import type { Secret } from "../../base/secret.ts";
import { statusOf, toVaultFailure } from "./failure.ts";
import { vaultHostOf } from "./kek-names.ts";
import { jitterPolicy } from "./limited.ts";

/** Where secrets of the guide are written: `enclave-key-pem` and `key-pass`. */
export type VaultSecrets = {
  /**
   * Sets a secret of UTF-8 text, at most 25,600 bytes; gives its URL with the version.
   * @throws provision.exists where it is there and may not be replaced; azure's
   */
  readonly put: (name: string, secret: Secret) => Promise<string>;
  /**
   * Whether there is a secret of that name, disabled ones too; a deleted one is not there.
   * @throws azure's; who may not see it is told the role that setting it takes
   */
  readonly has: (name: string) => Promise<boolean>;
};

/** The least role that looks for secrets and sets them. */
const ROLE = "Key Vault Secrets Officer";

/** Key Vault's bound of a secret. */
const MAX_SECRET_BYTES = 25 * 1024;

/**
 * The secrets of a Key Vault. The SDK takes text, which cannot be zeroed: docs/limits.md says so.
 * @throws key.vault_missing where the URL is none of a vault's; key.not_permitted for a Managed HSM
 */
export function vaultSecrets(options: {
  readonly url: string;
  readonly replace: boolean;
  readonly connection: AzureConnection;
}): VaultSecrets {
  const { url, replace, connection } = options;
  const host = vaultHostOf(url);
  if (host.includes(".managedhsm."))
    throw new PpmlError("key.not_permitted", "a Managed HSM has no secrets: name a Key Vault");
  const client = new SecretClient(`https://${host}`, connection.credential, {
    ...connection.clientOptions,
    additionalPolicies: [
      { policy: jitterPolicy(Math.random), position: "perRetry" },
      { policy: REFUSALS, position: "perCall" },
    ],
  });
  return {
    put: async (name, secret) => {
      if (secret.byteLength > MAX_SECRET_BYTES)
        throw new PpmlError(
          "key.not_permitted",
          `expected a secret of at most ${MAX_SECRET_BYTES} bytes, came ${secret.byteLength}`,
        );
      const what = `set the secret ${name} in https://${host}`;
      try {
        if (!replace && (await isThere(client, name)))
          throw new PpmlError(
            "provision.exists",
            `the secret https://${host}/secrets/${name} exists: use it, or give --force to set a new version`,
          );
        const set = await client.setSecret(name, secret.expose(fromUtf8), {
          contentType: name.endsWith("-pem") ? "application/x-pem-file" : "text/plain",
        });
        return set.properties.id ?? `https://${host}/secrets/${name}`;
      } catch (error) {
        throw toVaultFailure(error, { what, host, role: ROLE });
      }
    },
    has: async (name) => {
      try {
        return await isThere(client, name);
      } catch (error) {
        const what = `look for the secret ${name} in https://${host}`;
        throw toVaultFailure(error, { what, host, role: ROLE });
      }
    },
  };
}

/**
 * By its versions: that takes the right to its metadata, not to its value. Who lacks it is refused, though
 * setting might be allowed: it would replace what cannot be seen.
 */
async function isThere(client: SecretClient, name: string): Promise<boolean> {
  try {
    for await (const _ of client.listPropertiesOfSecretVersions(name)) return true;
    return false;
  } catch (error) {
    if (statusOf(error) === 404 && isOfSecret(error)) return false;
    throw error;
  }
}

/** A vault that is not there answers 404 too, through some proxies. */
function isOfSecret(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, "code") === "SecretNotFound";
}

/** A refused listing as an error that says why: the SDK's own drops what Key Vault answered. */
const REFUSALS: PipelinePolicy = {
  name: "ppmlRefusals",
  sendRequest: async (request, next) => {
    const response = await next(request);
    if (response.status !== 403) return response;
    const error = new RestError("refused", { statusCode: 403, request, response });
    try {
      error.details = JSON.parse(response.bodyAsText ?? "");
    } catch {
      error.message = "refused, without a reason in Key Vault's form";
    }
    throw error;
  },
};
