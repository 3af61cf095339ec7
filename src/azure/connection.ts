import type { TokenCredential } from "@azure/core-auth";
import type { HttpClient } from "@azure/core-rest-pipeline";
import {
  ChainedTokenCredential,
  DefaultAzureCredential,
  EnvironmentCredential,
  WorkloadIdentityCredential,
} from "@azure/identity";
import { deadlineOf, withDeadline } from "./deadline.ts";
import type { OnWait } from "./deadline.ts";
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
  readonly onWait?: OnWait | undefined;
}): AzureConnection {
  const { onWait } = options;
  const httpClient = withDeadline(azureHttpClient(options.transport), {
    deadlineMs: deadlineOf,
    ...(onWait === undefined ? {} : { onWait }),
  });
  const clientOptions = { httpClient, retryOptions: RETRIES };
  const { tenantId } = options;
  const identityOptions = { ...clientOptions, ...(tenantId === undefined ? {} : { tenantId }) };
  return { credential: credentialOf(identityOptions), clientOptions };
}

/** What a pod with workload identity has in its environment. */
const WORKLOAD = ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"];

/**
 * Where a workload identity is there, only it and what comes before it: the managed identity that
 * DefaultAzureCredential tries next would exchange the same token once more, over a client of its own
 * that follows the environment's proxy and certificates, whatever ours does.
 */
function credentialOf(
  options: AzureConnection["clientOptions"] & { readonly tenantId?: string },
): TokenCredential {
  if (!WORKLOAD.every((name) => (process.env[name] ?? "") !== ""))
    return new DefaultAzureCredential(options);
  return new ChainedTokenCredential(
    new EnvironmentCredential(options),
    new WorkloadIdentityCredential(options),
  );
}
