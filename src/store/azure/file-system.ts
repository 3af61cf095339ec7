import { DataLakeServiceClient, newPipeline } from "@azure/storage-file-datalake";
import type {
  DataLakeFileSystemClient,
  PathAccessControlItem,
  PathGetAccessControlResponse,
} from "@azure/storage-file-datalake";
import { PpmlError } from "../../base/index.ts";
import { containerOf, sharedKeyCredential } from "./access.ts";
import type { AzureAccess } from "./access.ts";
import type { AclEntry } from "./acl.ts";
import { serviceCode, toStoreFailure } from "./failure.ts";
import { storageHttpClient } from "./http-client.ts";
import { RETRIES, withRetries } from "./retry.ts";
import { dfsEndpoint } from "./uri.ts";
import type { AzurePlace } from "./uri.ts";

/** A file or directory of a data lake, as a listing shows it. */
export type LakePath = {
  /** Below the filesystem, without a slash at its beginning. */
  readonly path: string;
  readonly isDirectory: boolean;
  readonly size: number;
  /** RFC 3339; null where the service does not say. */
  readonly modified: string | null;
  /** `rwxr-x---`; empty for accounts without a hierarchical namespace. */
  readonly permissions: string;
};

/** More of a listing than a person, or a script, reads. */
const MAX_PATHS = 1_000_000;

/** Makes a place's filesystem; false where it is there already. @throws azure.* */
export async function makeFilesystem(place: AzurePlace, access: AzureAccess): Promise<boolean> {
  return told(place, "make the filesystem", async () => {
    try {
      await repeated(access, () => containerOf(place, access).create());
      return true;
    } catch (error) {
      if (serviceCode(error) === "ContainerAlreadyExists") return false;
      throw error;
    }
  });
}

/** What making a directory did: `changed` where it was there and an ACL was not as asked. */
export type DirectoryMade = "made" | "changed" | "there";

/**
 * Makes a directory and those above it, and puts entries into its ACL beside those that it has. ACLs that
 * have them already are not written.
 * @param change.entries of the directory; `pass` of each one above it, the filesystem's root included:
 *   added to what its identity may do there
 * @throws azure.* store.name where a file has its name
 */
export async function makeDirectory(
  place: AzurePlace,
  access: AzureAccess,
  change: { readonly entries: readonly AclEntry[]; readonly pass: readonly AclEntry[] },
): Promise<DirectoryMade> {
  const filesystem = filesystemOf(place, access);
  return told(place, "make the directory", async () => {
    const isNew = await createDirectory(filesystem, place.path, access);
    const above = place.path.split("/").map((_, i, parts) => parts.slice(0, i).join("/"));
    let isChanged = false;
    for (const path of above)
      if (await addEntries(filesystem, path, { access, entries: change.pass, isPass: true }))
        isChanged = true;
    const own = { access, entries: change.entries, isPass: false };
    if (await addEntries(filesystem, place.path, own)) isChanged = true;
    if (isNew) return "made";
    return isChanged ? "changed" : "there";
  });
}

/** Lists a directory, or a file, in the order of paths. @throws azure.*, store.not_found */
export async function listLake(
  place: AzurePlace,
  access: AzureAccess,
  options: { readonly recursive: boolean },
): Promise<readonly LakePath[]> {
  const { path } = place;
  return told(place, "list", async () => {
    const found: LakePath[] = [];
    let token: string | undefined;
    do {
      const page = await repeated(access, async () => {
        const listed = filesystemOf(place, access).listPaths({
          path,
          recursive: options.recursive,
        });
        const settings = token === undefined ? {} : { continuationToken: token };
        return (await listed.byPage({ maxPageSize: 5000, ...settings }).next()).value;
      });
      for (const item of page?.pathItems ?? []) found.push(toLakePath(item));
      token = page?.continuation === "" ? undefined : page?.continuation;
      if (found.length > MAX_PATHS)
        throw new PpmlError("store.io", `${place.uri} has more than ${MAX_PATHS} paths`);
    } while (token !== undefined);
    return found;
  });
}

/** What lies at a place; null for nothing. @throws azure.* */
export async function lookAt(
  place: AzurePlace,
  access: AzureAccess,
): Promise<"file" | "directory" | null> {
  return told(place, "look at", async () => {
    try {
      const client = filesystemOf(place, access).getFileClient(place.path);
      const { metadata } = await repeated(access, () => client.getProperties());
      return metadata?.["hdi_isfolder"] === "true" ? "directory" : "file";
    } catch (error) {
      if (serviceCode(error) === "BlobNotFound" || serviceCode(error) === "PathNotFound")
        return null;
      throw error;
    }
  });
}

/** Deletes a file, or a directory with all below it. @throws azure.*, store.not_found */
export async function removePath(
  place: AzurePlace,
  access: AzureAccess,
  options: { readonly recursive: boolean },
): Promise<void> {
  await told(place, "delete", async () => {
    const client = filesystemOf(place, access).getFileClient(place.path);
    await repeated(access, () => client.delete(options.recursive));
  });
}

function filesystemOf(place: AzurePlace, access: AzureAccess): DataLakeFileSystemClient {
  const { credential, clientOptions, sharedKey } = access;
  const pipeline = newPipeline(
    sharedKey === undefined ? credential : sharedKeyCredential(place.account, sharedKey),
    {
      httpClient: storageHttpClient(clientOptions.httpClient),
      retryOptions: { maxTries: 1 },
      userAgentOptions: { userAgentPrefix: "ppml" },
    },
  );
  const service = new DataLakeServiceClient(dfsEndpoint(place), pipeline);
  return service.getFileSystemClient(place.filesystem);
}

async function createDirectory(
  filesystem: DataLakeFileSystemClient,
  path: string,
  access: AzureAccess,
): Promise<boolean> {
  if (path === "") return false;
  const client = filesystem.getDirectoryClient(path);
  try {
    await repeated(access, () => client.create({ conditions: { ifNoneMatch: "*" } }));
    return true;
  } catch (error) {
    if (serviceCode(error) !== "PathAlreadyExists") throw error;
    const { metadata } = await repeated(access, () => client.getProperties());
    if (metadata?.["hdi_isfolder"] === "true") return false;
    throw error;
  }
}

/** False where the ACL has the entries already. */
async function addEntries(
  filesystem: DataLakeFileSystemClient,
  path: string,
  change: {
    readonly access: AzureAccess;
    readonly entries: readonly AclEntry[];
    /** Whether they are only added to what their identities may do there. */
    readonly isPass: boolean;
  },
): Promise<boolean> {
  const { access, entries, isPass } = change;
  if (entries.length === 0) return false;
  const client = filesystem.getDirectoryClient(path === "" ? "/" : path);
  const found: PathGetAccessControlResponse = await repeated(access, () =>
    client.getAccessControl(),
  );
  const changed = entries.map((entry) => {
    const item = toItem(entry);
    return isPass ? widened(item, found.acl) : item;
  });
  if (changed.every((item) => isHeld(item, found.acl))) return false;
  const keys = new Set(changed.map((item) => keyOf(item)));
  // Without its mask the service computes one that is wide enough for the new entries.
  const isMasked = changed.some(({ accessControlType }) => accessControlType === "mask");
  const kept = found.acl.filter(
    (item) => !keys.has(keyOf(item)) && (isMasked || item.accessControlType !== "mask"),
  );
  const acl = withDefaults([...kept, ...changed]);
  await repeated(access, () => client.setAccessControl(acl));
  return true;
}

/** The entry, with what the ACL gives its identity already: who may read a directory still may. */
function widened(
  item: PathAccessControlItem,
  acl: readonly PathAccessControlItem[],
): PathAccessControlItem {
  const found = acl.find((one) => keyOf(one) === keyOf(item))?.permissions;
  if (found === undefined) return item;
  const { read, write, execute } = item.permissions;
  const permissions = {
    read: read || found.read,
    write: write || found.write,
    execute: execute || found.execute,
  };
  return { ...item, permissions };
}

/** Whether the ACL has this very entry, and its mask takes nothing away from it. */
function isHeld(item: PathAccessControlItem, acl: readonly PathAccessControlItem[]): boolean {
  const found = acl.find((one) => keyOf(one) === keyOf(item));
  if (found === undefined) return false;
  const { read, write, execute } = item.permissions;
  const is = found.permissions;
  if (is.read !== read || is.write !== write || is.execute !== execute) return false;
  const mask = acl.find(
    (one) => one.accessControlType === "mask" && one.defaultScope === item.defaultScope,
  )?.permissions;
  if (mask === undefined) return true;
  return !(read && !mask.read) && !(write && !mask.write) && !(execute && !mask.execute);
}

/** A default ACL needs the owner's, the group's and the others' entries: those of the directory itself. */
function withDefaults(acl: readonly PathAccessControlItem[]): PathAccessControlItem[] {
  if (!acl.some(({ defaultScope }) => defaultScope)) return [...acl];
  const missing = acl.filter(
    (item) =>
      !item.defaultScope &&
      item.entityId === "" &&
      item.accessControlType !== "mask" &&
      !acl.some(
        (other) =>
          other.defaultScope &&
          other.entityId === "" &&
          other.accessControlType === item.accessControlType,
      ),
  );
  return [...acl, ...missing.map((item) => Object.assign({}, item, { defaultScope: true }))];
}

function toItem({ isDefault, type, id, read, write, execute }: AclEntry): PathAccessControlItem {
  return {
    accessControlType: type,
    entityId: id,
    defaultScope: isDefault,
    permissions: { read, write, execute },
  };
}

function keyOf({ accessControlType, entityId, defaultScope }: PathAccessControlItem): string {
  return `${String(defaultScope)} ${accessControlType} ${entityId.toLowerCase()}`;
}

function toLakePath(item: {
  readonly name?: string;
  readonly isDirectory?: boolean;
  readonly contentLength?: number;
  readonly lastModified?: Date;
  readonly permissions?: { readonly toString: () => string } | object;
}): LakePath {
  const { name, lastModified, permissions, contentLength = 0 } = item;
  if (name === undefined || !Number.isSafeInteger(contentLength) || contentLength < 0)
    throw new PpmlError("store.io", "the storage listed a path without a name, or without a size");
  return {
    path: name,
    isDirectory: item.isDirectory === true,
    size: contentLength,
    modified:
      lastModified === undefined || Number.isNaN(lastModified.getTime())
        ? null
        : lastModified.toISOString(),
    permissions: permissionsText(permissions),
  };
}

function permissionsText(permissions: unknown): string {
  if (typeof permissions !== "object" || permissions === null) return "";
  return ["owner", "group", "other"]
    .map((who) => {
      const one: unknown = Reflect.get(permissions, who);
      if (typeof one !== "object" || one === null) return "---";
      const has = (what: string): boolean => Reflect.get(one, what) === true;
      return `${has("read") ? "r" : "-"}${has("write") ? "w" : "-"}${has("execute") ? "x" : "-"}`;
    })
    .join("");
}

/** What is repeated here may be: a second time finds what the first one did. */
function repeated<T>(access: AzureAccess, call: () => Promise<T>): Promise<T> {
  return withRetries(access.retries ?? RETRIES, call);
}

async function told<T>(place: AzurePlace, what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw toStoreFailure(error, {
      what,
      name: place.path === "" ? "/" : place.path,
      uri: place.uri,
    });
  }
}
