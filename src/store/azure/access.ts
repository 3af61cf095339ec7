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
  /** What stands between, where the connection's own client does not know of it. */
  readonly network?: LakeNetwork;
  /** How idempotent calls are repeated; about 30 seconds where it is not given. */
  readonly retries?: RetryPolicy;
};

/** A network with a proxy, or with certificate roots of its own. */
export type LakeNetwork = {
  /** Such as http://127.0.0.1:8080; null for none. */
  readonly proxy: { readonly host: string; readonly port: number } | null;
  /** Certificate roots in PEM beside the platform's own. */
  readonly certificates: readonly string[];
};

/** OAuth's scope of Azure Storage. */
export const STORAGE_SCOPE = "https://storage.azure.com/.default";

/** The client of a place's filesystem: the SDK's own retries are off, ours know what is idempotent. */
export function containerOf(place: AzurePlace, access: AzureAccess): ContainerClient {
  const credential =
    access.sharedKey === undefined
      ? access.credential
      : sharedKeyCredential(place.account, access.sharedKey);
  const { network, clientOptions } = access;
  const proxyOptions = network?.proxy ?? undefined;
  const pipeline = newPipeline(credential, {
    httpClient: storageHttpClient(clientOptions.httpClient, network?.certificates),
    ...(proxyOptions === undefined ? {} : { proxyOptions }),
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
