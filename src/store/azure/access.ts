import { BlobServiceClient, newPipeline, StorageSharedKeyCredential } from "@azure/storage-blob";
import type { ContainerClient } from "@azure/storage-blob";
import type { TokenCredential } from "@azure/core-auth";
import type { HttpClient } from "@azure/core-rest-pipeline";
import type { Secret } from "../../base/index.ts";
import { storageHttpClient } from "./http-client.ts";
import type { RetryPolicy } from "./retry.ts";
import { blobEndpoint } from "./uri.ts";
import type { AzurePlace } from "./uri.ts";

/** Who asks a data lake, and how it is reached. An `AzureConnection` is one. */
export type AzureAccess = {
  readonly credential: TokenCredential;
  readonly clientOptions: { readonly httpClient: HttpClient };
  /**
   * The account's key in place of the credential: it may do everything in the account, names nobody,
   * and does not expire. Only where the account allows it and a person chose it.
   */
  readonly sharedKey?: Secret;
  /** How idempotent calls are repeated; about 30 seconds where it is not given. */
  readonly retries?: RetryPolicy;
};

/** OAuth's scope of Azure Storage. */
export const STORAGE_SCOPE = "https://storage.azure.com/.default";

/** The client of a place's filesystem: the SDK's own retries are off, ours know what is idempotent. */
export function containerOf(place: AzurePlace, access: AzureAccess): ContainerClient {
  const credential =
    access.sharedKey === undefined
      ? access.credential
      : sharedKeyCredential(place.account, access.sharedKey);
  const pipeline = newPipeline(credential, {
    httpClient: storageHttpClient(access.clientOptions.httpClient),
    retryOptions: { maxTries: 1 },
    userAgentOptions: { userAgentPrefix: "ppml" },
  });
  return new BlobServiceClient(blobEndpoint(place), pipeline).getContainerClient(place.filesystem);
}

/** The SDK keeps the key as text and bytes of its own as long as the client lives: docs/limits.md. */
export function sharedKeyCredential(account: string, key: Secret): StorageSharedKeyCredential {
  return key.expose(
    (bytes) => new StorageSharedKeyCredential(account, Buffer.from(bytes).toString("base64")),
  );
}
