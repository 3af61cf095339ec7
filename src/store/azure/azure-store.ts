import type { BlobClient, ContainerClient } from "@azure/storage-blob";
import { PpmlError } from "../../base/index.ts";
import { parseStoreName } from "../name.ts";
import type { Chunks, PutOptions, Store, StoredObject, StoreSource } from "../store.ts";
import { containerOf } from "./access.ts";
import type { AzureAccess } from "./access.ts";
import { replaceBlocks } from "./azure-replace.ts";
import { makeBudget } from "./budget.ts";
import type { Budget } from "./budget.ts";
import { commitBlocks, conditionsOf, requireEtag } from "./commit.ts";
import { changed, notFound, serviceCode, toStoreFailure } from "./failure.ts";
import { isFolderMark, listAzure } from "./list.ts";
import { RETRIES, withRetries } from "./retry.ts";
import type { RetryPolicy } from "./retry.ts";
import { azureSource } from "./source.ts";
import { stageChunks } from "./upload.ts";
import { parseAbfsUri, whyNotAzure } from "./uri.ts";
import type { AzurePlace } from "./uri.ts";

/** Of blocks that are filled or under way, over all uploads of a store. */
const IN_FLIGHT_BYTES = 64 * 1024 * 1024;
const MAX_BLOB_NAME_BYTES = 1024;

/**
 * Opens a folder of a data lake as a store: one blob an object. Nothing is asked of the network yet.
 * @throws store.name for a URI that names no place of a data lake
 * @see docs/stores.md
 */
export function openAzureStore(uri: string, access: AzureAccess): Store {
  const place = parseAbfsUri(uri);
  const azure: AzureStore = {
    place,
    access,
    retries: access.retries ?? RETRIES,
    container: containerOf(place, access),
    root: place.path === "" ? "" : `${place.path}/`,
    budget: makeBudget(IN_FLIGHT_BYTES),
    spare: [],
  };
  return {
    uri: place.uri,
    putsAtOnce: 4,
    put: (name, chunks, options) => put(azure, name, { chunks, options: options ?? {} }),
    head: (name) => head(azure, name),
    source: (name) => source(azure, name),
    list: (prefix) => list(azure, prefix),
    delete: (name, condition) => remove(azure, name, condition?.ifMatch),
    replace: (name, edit) => replace(azure, name, edit),
  };
}

type AzureStore = {
  readonly place: AzurePlace;
  readonly access: AzureAccess;
  readonly retries: RetryPolicy;
  readonly container: ContainerClient;
  readonly root: string;
  readonly budget: Budget;
  readonly spare: Uint8Array[];
};
type Written = { readonly etag: string; readonly size: number };

async function put(
  azure: AzureStore,
  name: string,
  input: { readonly chunks: Chunks; readonly options: PutOptions },
): Promise<Written> {
  const { chunks, options } = input;
  const client = blobOf(azure, name).getBlockBlobClient();
  const { retries, budget, spare } = azure;
  // Told early, so that nothing is sealed in vain; what counts is the condition of the commit.
  await checkCondition(azure, name, options);
  const watched = watchChunks(chunks);
  try {
    const { recycle, headBytes = 0 } = options;
    const target = { client, retries, budget, spare };
    const blocks = await stageChunks(target, watched.chunks, { headBytes, recycle });
    return await commitBlocks({ client, name, blocks, condition: options, retries });
  } catch (error) {
    // The source's own failure is passed on as it is.
    if (watched.failed.length > 0) throw watched.failed[0];
    throw toStoreFailure(error, { what: "write", name, uri: azure.place.uri });
  }
}

/** Tells what the chunks throw from what the storage does. */
function watchChunks(chunks: Chunks): { readonly chunks: Chunks; readonly failed: unknown[] } {
  const failed: unknown[] = [];
  async function* watch(): AsyncGenerator<Uint8Array, void> {
    try {
      yield* chunks;
    } catch (error) {
      failed.push(error);
      throw error;
    }
  }
  return { chunks: watch(), failed };
}

async function checkCondition(azure: AzureStore, name: string, options: PutOptions): Promise<void> {
  if (options.ifNoneMatch === undefined && options.ifMatch === undefined) return;
  const existing = await head(azure, name);
  if (options.ifNoneMatch === true && existing !== null)
    throw new PpmlError("store.exists", `the store already has an object "${name}"`, {
      detail: { name },
    });
  if (options.ifMatch !== undefined && existing?.etag !== options.ifMatch) throw changed(name);
}

async function head(azure: AzureStore, name: string): Promise<StoredObject | null> {
  const client = blobOf(azure, name);
  return told(azure, { what: "look at", name }, async () => {
    try {
      const found = await withRetries(azure.retries, () => client.getProperties());
      if (isFolderMark(found.metadata)) return null;
      return {
        name,
        size: requireSize(found.contentLength, name),
        etag: requireEtag(found.etag, name),
      };
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  });
}

async function source(azure: AzureStore, name: string): Promise<StoreSource> {
  const stored = await head(azure, name);
  if (stored === null) throw notFound(name);
  const { size, etag } = stored;
  const { retries, place } = azure;
  return azureSource({ client: blobOf(azure, name), name, uri: place.uri, size, etag, retries });
}

async function* list(azure: AzureStore, prefix: string): AsyncGenerator<StoredObject> {
  const { container, place, root, retries } = azure;
  yield* await listAzure({ container, uri: place.uri, root, prefix, retries });
}

async function remove(azure: AzureStore, name: string, ifMatch?: string): Promise<void> {
  const client = blobOf(azure, name);
  const conditions = ifMatch === undefined ? {} : { conditions: conditionsOf({ ifMatch }) };
  await told(azure, { what: "delete", name }, async () => {
    try {
      // A conditional one is not repeated: the second would find nothing, as if somebody else had done it.
      const policy = ifMatch === undefined ? azure.retries : { ...azure.retries, tries: 1 };
      await withRetries(policy, () => client.delete(conditions));
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (ifMatch !== undefined) throw changed(name, error);
    }
  });
}

async function replace(
  azure: AzureStore,
  name: string,
  edit: Parameters<Store["replace"]>[1],
): Promise<Written> {
  const targetName = edit.as ?? name;
  const { access, retries, place } = azure;
  const [old, target] = [blobOf(azure, name), blobOf(azure, targetName)];
  return told(azure, { what: "replace", name }, () =>
    replaceBlocks({
      access,
      retries,
      uri: place.uri,
      name,
      source: old.getBlockBlobClient(),
      target: target.getBlockBlobClient(),
      targetName,
      ifMatch: edit.ifMatch,
      parts: edit.parts,
    }),
  );
}

async function told<T>(
  azure: AzureStore,
  asked: { readonly what: string; readonly name: string },
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw toStoreFailure(error, { ...asked, uri: azure.place.uri });
  }
}

function blobOf(azure: AzureStore, name: string): BlobClient {
  for (const part of parseStoreName(name)) {
    const why = whyNotAzure(part);
    if (why !== null)
      throw new PpmlError(
        "store.name",
        `the name ${JSON.stringify(name)} has ${why}, which Azure Storage does not keep: rename it`,
        { detail: { name } },
      );
  }
  const path = `${azure.root}${name}`;
  if (Buffer.byteLength(path) > MAX_BLOB_NAME_BYTES)
    throw new PpmlError(
      "store.name",
      `${JSON.stringify(name)} is too long below ${azure.place.uri}: a path has at most ${MAX_BLOB_NAME_BYTES} bytes`,
      { detail: { name } },
    );
  return azure.container.getBlobClient(path);
}

/** There is no such object; a missing filesystem is another error. */
function isMissing(error: unknown): boolean {
  const code = serviceCode(error);
  if (code === "ContainerNotFound" || code === "FilesystemNotFound") return false;
  const status = error instanceof Error && "statusCode" in error ? error.statusCode : undefined;
  return status === 404;
}

function requireSize(size: number | undefined, name: string): number {
  if (size !== undefined && Number.isSafeInteger(size) && size >= 0) return size;
  throw new PpmlError("store.io", `the storage gave no size of "${name}"`, { detail: { name } });
}
