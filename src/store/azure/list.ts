import type { BlobItem, ContainerClient } from "@azure/storage-blob";
import { PpmlError } from "../../base/index.ts";
import { compareNames, RESERVED_PREFIX } from "../name.ts";
import type { StoredObject } from "../store.ts";
import { requireEtag } from "./commit.ts";
import { serviceCode, toStoreFailure } from "./failure.ts";
import { withRetries } from "./retry.ts";
import type { RetryPolicy } from "./retry.ts";

const PAGE_SIZE = 5000;
/** More is an endless listing, or needs a prefix; about 300 MB of memory. */
const MAX_OBJECTS = 1_000_000;
const MAX_PAGES = 20_000;
/** A service that cleans up gives a few pages without objects; one that lies gives no others. */
const MAX_EMPTY_PAGES = 200;

/** What is listed: a filesystem, or a folder of it that is a store. */
export type Listing = {
  readonly container: ContainerClient;
  readonly uri: string;
  /** What all blobs of the store begin with: "" or "folder/". */
  readonly root: string;
  readonly prefix: string;
  readonly retries: RetryPolicy;
};

/**
 * Lists a store's objects in the order of their names' UTF-8 bytes, without directories. The service's
 * own order is another one where there are directories, so that the whole listing is read first.
 * @throws store.io for a listing of more than a million objects, or one that goes in circles
 */
export async function listAzure(listing: Listing): Promise<readonly StoredObject[]> {
  const objects: StoredObject[] = [];
  const seen = new Set<string>();
  let token: string | undefined;
  let emptyPages = 0;
  do {
    const page = await fetchPage(listing, token);
    for (const item of page.items) {
      const object = toObject(listing, item);
      if (object !== null) objects.push(object);
    }
    token = page.token;
    emptyPages = page.items.length > 0 ? 0 : emptyPages + 1;
    if (emptyPages > MAX_EMPTY_PAGES) throw endless(listing, "its pages are empty");
    if (token !== undefined && seen.has(token)) throw endless(listing, "it repeats itself");
    if (token !== undefined) seen.add(token);
    if (objects.length > MAX_OBJECTS || seen.size > MAX_PAGES)
      throw endless(listing, `it has more than ${MAX_OBJECTS} objects`);
  } while (token !== undefined);
  objects.sort((a, b) => compareNames(a.name, b.name));
  return objects;
}

async function fetchPage(
  listing: Listing,
  token: string | undefined,
): Promise<{ readonly items: readonly BlobItem[]; readonly token: string | undefined }> {
  const { container, root, prefix, retries, uri } = listing;
  try {
    return await withRetries(retries, async () => {
      const pages = container.listBlobsFlat({ prefix: `${root}${prefix}`, includeMetadata: true });
      const settings = { maxPageSize: PAGE_SIZE };
      const { value } = await pages
        .byPage(token === undefined ? settings : { ...settings, continuationToken: token })
        .next();
      const next: unknown = value?.continuationToken;
      return {
        items: value?.segment?.blobItems ?? [],
        token: typeof next === "string" && next !== "" ? next : undefined,
      };
    });
  } catch (error) {
    // A service with directories refuses a prefix that passes a file: nothing can lie there.
    if (serviceCode(error) === "ResourceTypeMismatch") return { items: [], token: undefined };
    throw toStoreFailure(error, { what: "list", name: prefix, uri });
  }
}

function toObject(listing: Listing, item: BlobItem): StoredObject | null {
  const { root, prefix } = listing;
  const { name, properties } = item;
  if (typeof name !== "string" || !name.startsWith(`${root}${prefix}`))
    throw new PpmlError(
      "store.io",
      `the listing of ${listing.uri} names what was not asked for: the storage is broken, or lies`,
    );
  if (isDirectory(item)) return null;
  const inStore = name.slice(root.length);
  if (inStore.split("/").some((part) => part.startsWith(RESERVED_PREFIX))) return null;
  const size = properties.contentLength ?? -1;
  if (!Number.isSafeInteger(size) || size < 0)
    throw new PpmlError("store.io", `the listing of ${listing.uri} gives no size of "${inStore}"`);
  return { name: inStore, size, etag: requireEtag(properties.etag, inStore) };
}

/** Accounts with a hierarchical namespace list directories too, as empty blobs that say so. */
function isDirectory(item: BlobItem): boolean {
  if (item.name.endsWith("/")) return true;
  return isFolderMark(item.metadata) && item.properties.contentLength === 0;
}

/** The mark that directories have in their metadata. */
export function isFolderMark(metadata: Readonly<Record<string, string>> | undefined): boolean {
  const mark = Object.entries(metadata ?? {}).find(([key]) => key.toLowerCase() === "hdi_isfolder");
  return mark?.[1].toLowerCase() === "true";
}

function endless({ uri }: Listing, why: string): PpmlError {
  return new PpmlError(
    "store.io",
    `the listing of ${uri} does not end as it should: ${why}: list a folder of it, or look at the account`,
  );
}
