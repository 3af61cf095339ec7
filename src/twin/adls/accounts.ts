import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import type { ContainerClient } from "@azure/storage-blob";
import type { TwinAuthority } from "../service.ts";
import { AZURITE_REMEDY, isAzuriteInstalled, startAzurite } from "./azurite.ts";
import type { Azurite } from "./azurite.ts";
import { StorageRefusal } from "./storage-error.ts";

const RESOURCE_TYPE = "Microsoft.Storage/storageAccounts";
/** Azurites at once: each needs about 150 MB. */
const MAX_ACCOUNTS = 8;

/** A filesystem at Azurite itself, without the double's checks. */
export type ContainerOf = (filesystem: string) => ContainerClient;

/** A storage account that exists at ARM, with the Azurite that keeps its blobs. */
export type StorageAccount = {
  readonly name: string;
  /** Its ARM id. */
  readonly id: string;
  readonly isHierarchical: boolean;
  readonly allowsSharedKey: boolean;
  readonly azurite: Azurite;
  readonly container: ContainerOf;
};

/** The storage accounts of a twin; Azurite starts with the first call to an account. */
export type StorageAccounts = AsyncDisposable & {
  /** @throws StorageRefusal where ARM has no such account, and 501 where Azurite is not installed */
  readonly open: (name: string) => Promise<StorageAccount>;
};

/**
 * Finds accounts in the twin's state.
 * @param options.folder where blobs are kept, a folder an account; null for memory only
 * @param options.onStart told of an account whose Azurite has started, before the first call to it
 */
export function openStorageAccounts(options: {
  readonly authority: TwinAuthority;
  readonly folder: string | null;
  readonly onStart?: (account: {
    readonly name: string;
    readonly container: ContainerOf;
  }) => Promise<void>;
}): StorageAccounts {
  const start = async (name: string): Promise<Azurite> => {
    const folder = options.folder === null ? null : join(options.folder, name);
    if (folder !== null) mkdirSync(folder, { recursive: true, mode: 0o700 });
    const azurite = await startAzurite({ account: name, folder });
    try {
      await options.onStart?.({
        name,
        container: (filesystem) => containerOf(azurite, filesystem),
      });
      return azurite;
    } catch (error) {
      await azurite.close();
      throw error;
    }
  };
  const started = new Map<string, Promise<Azurite>>();
  const azuriteOf = (name: string): Promise<Azurite> => {
    const known = started.get(name);
    if (known !== undefined) return known;
    if (started.size >= MAX_ACCOUNTS)
      throw new StorageRefusal(503, "ServerBusy", {
        message: `The double keeps the blobs of at most ${MAX_ACCOUNTS} accounts.`,
      });
    if (!isAzuriteInstalled())
      throw new StorageRefusal(501, "AzuriteIsMissing", {
        message: `Azurite, which keeps the blobs of the double of Azure, is missing; ${AZURITE_REMEDY}`,
      });
    const starting = start(name);
    started.set(name, starting);
    // Not kept: the next call may find what was missing.
    starting.catch(() => started.delete(name));
    return starting;
  };
  return {
    open: async (name) => {
      const resource = options.authority.resource(RESOURCE_TYPE, name);
      if (resource === null)
        throw new StorageRefusal(404, "ResourceNotFound", {
          message: `There is no storage account ${name} at the double's ARM.`,
        });
      const properties = propertiesOf(resource.body);
      const azurite = await azuriteOf(name);
      return {
        name,
        id: resource.id,
        isHierarchical: properties["isHnsEnabled"] === true,
        allowsSharedKey: properties["allowSharedKeyAccess"] === true,
        azurite,
        container: (filesystem) => containerOf(azurite, filesystem),
      };
    },
    [Symbol.asyncDispose]: async () => {
      const all = await Promise.allSettled(started.values());
      for (const one of all) if (one.status === "fulfilled") await one.value.close();
    },
  };
}

function propertiesOf(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { properties } = body;
  return typeof properties === "object" && properties !== null ? { ...properties } : {};
}

function containerOf({ account, key, port }: Azurite, filesystem: string): ContainerClient {
  const credential = new StorageSharedKeyCredential(account, Buffer.from(key).toString("base64"));
  const service = new BlobServiceClient(`http://127.0.0.1:${port}/${account}`, credential);
  return service.getContainerClient(filesystem);
}
