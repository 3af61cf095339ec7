import type { TokenCredential } from "@azure/core-auth";
import type { HttpClient } from "@azure/core-rest-pipeline";
import { DefaultAzureCredential } from "@azure/identity";
import { azureHttpClient } from "./transport.ts";
import type { AzureTransport } from "./transport.ts";

/** What a client of Azure needs: who asks, and how it is reached. */
export type AzureConnection = {
  readonly credential: TokenCredential;
  /** Given to each SDK client as its options; a client may add its own. */
  readonly clientOptions: {
    readonly httpClient: HttpClient;
    readonly retryOptions: { readonly maxRetries: number; readonly maxRetryDelayInMs: number };
  };
};

/** Retries that the SDKs make of idempotent calls on 408, 429, 5xx and lost connections. */
const RETRIES = { maxRetries: 4, maxRetryDelayInMs: 20_000 } as const;

/**
 * A connection with the credential that is there: environment, workload identity, managed identity,
 * or the login of `az`. Nothing is asked for yet: a login that is missing shows with the first call.
 * @see @azure/identity, DefaultAzureCredential
 */
export function connectAzure(options: {
  readonly transport: AzureTransport;
  /** The tenant to log in to; the credential's own where it is not given. */
  readonly tenantId?: string;
}): AzureConnection {
  const httpClient = azureHttpClient(options.transport);
  const clientOptions = { httpClient, retryOptions: RETRIES };
  const { tenantId } = options;
  const credential = new DefaultAzureCredential({
    ...clientOptions,
    ...(tenantId === undefined ? {} : { tenantId }),
  });
  return { credential, clientOptions };
}
