import { fromMode, parseAcl, permissionsOf, withMasks } from "./acl.ts";
import type { AclEntry } from "./acl.ts";
import type { DfsAnswer, DfsCall } from "./dfs-call.ts";
import { FOLDER_METADATA, ownerOf } from "./namespace.ts";
import type { PathEntry, PathPlace } from "./path-table.ts";
import { headerOf, parentOf, splitPath } from "./request.ts";
import { StorageRefusal } from "./storage-error.ts";

/** Where a call's path is. */
export function placeOf(call: DfsCall): PathPlace {
  return { account: call.asked.account.name, filesystem: call.filesystem };
}

/** The entry of a call's path. @throws StorageRefusal 404 */
export function requireEntry(call: DfsCall): PathEntry {
  const entry = call.services.paths.get(placeOf(call), call.path);
  if (entry === null) throw new StorageRefusal(404, "PathNotFound");
  return entry;
}

/** Makes a file or a directory. @see Path - Create */
export async function createPath(call: DfsCall): Promise<DfsAnswer> {
  const { services, asked, namespace, path } = call;
  const isDirectory = call.query.get("resource") === "directory";
  if (!isDirectory && call.query.get("resource") !== "file")
    throw new StorageRefusal(400, "InvalidQueryParameterValue", {
      message:
        "Value for one of the query parameters specified in the request URI is invalid: resource.",
    });
  const place = placeOf(call);
  const known = services.paths.get(place, path);
  requireWrite(call, known);
  if (known !== null && headerOf(call, "if-none-match") === "*")
    throw new StorageRefusal(409, "PathAlreadyExists");
  const acl = givenAcl(call);
  const umask = Number.parseInt(headerOf(call, "x-ms-umask") ?? "0027", 8);
  const { caller } = asked;
  const blob = asked.account.container(call.filesystem).getBlockBlobClient(path);
  if (isDirectory) await namespace.makeDirectory(path, { caller, umask });
  else {
    namespace.requireFilePlace(path);
    await namespace.makeParents(path, caller);
    await blob.upload("", 0, conditionsOf(call));
    services.paths.make(place, { path, isDirectory: false, owner: ownerOf(caller), umask });
  }
  const made = services.paths.get(place, path);
  if (made !== null && acl !== null) services.paths.put(place, { ...made, acl });
  const { etag, lastModified } = await blob.getProperties();
  return {
    status: 201,
    headers: { etag: etag ?? "", "last-modified": lastModified?.toUTCString() ?? "" },
  };
}

/** Moves a file or a directory with all below it. @see Path - Create, x-ms-rename-source */
export async function renamePath(call: DfsCall): Promise<DfsAnswer> {
  const { services, asked, namespace, path } = call;
  const [fromFilesystem, from] = splitPath(
    (headerOf(call, "x-ms-rename-source") ?? "").split("?", 1)[0] ?? "",
  );
  if (fromFilesystem !== call.filesystem)
    throw new StorageRefusal(501, "FeatureNotYetSupported", {
      message: "The double renames within one filesystem only.",
    });
  const place = placeOf(call);
  const source = services.paths.get(place, from);
  services.access.requirePath(asked, {
    action: "move/action",
    acl: [
      { path: parentOf(from), permissions: ["w", "x"] },
      { path: namespace.nearest(path), permissions: ["w", "x"] },
    ],
  });
  if (source === null) throw new StorageRefusal(404, "SourcePathNotFound");
  if (path === from || path.startsWith(`${from}/`))
    throw new StorageRefusal(409, "InvalidRenameSourcePath");
  const target = services.paths.get(place, path);
  if (target !== null && headerOf(call, "if-none-match") === "*")
    throw new StorageRefusal(409, "PathAlreadyExists");
  if (target?.isDirectory === true && services.paths.below(place, path, false).length > 0)
    throw new StorageRefusal(409, "DestinationPathIsBeingDeleted");
  await namespace.makeParents(path, asked.caller);
  const container = asked.account.container(call.filesystem);
  for (const entry of [source, ...services.paths.below(place, from, true)]) {
    const old = container.getBlobClient(entry.path);
    const moved = container.getBlockBlobClient(`${path}${entry.path.slice(from.length)}`);
    if (entry.isDirectory) await moved.upload("", 0, { metadata: FOLDER_METADATA });
    else await (await moved.beginCopyFromURL(old.url, { intervalInMs: 5 })).pollUntilDone();
    await old.delete();
  }
  services.paths.move(place, from, path);
  return { status: 201 };
}

/** Deletes a file, or a directory with all below it. @see Path - Delete */
export async function deletePath(call: DfsCall): Promise<DfsAnswer> {
  const { services, asked, path } = call;
  const place = placeOf(call);
  services.access.requirePath(asked, {
    action: "delete",
    acl: [{ path: parentOf(path), permissions: ["w", "x"] }],
  });
  const entry = requireEntry(call);
  const below = services.paths.below(place, path, true);
  if (entry.isDirectory && below.length > 0 && call.query.get("recursive") !== "true")
    throw new StorageRefusal(409, "DirectoryNotEmpty");
  const container = asked.account.container(call.filesystem);
  await container.getBlobClient(path).delete(conditionsOf(call));
  for (const one of below) await container.getBlobClient(one.path).deleteIfExists();
  services.paths.remove(place, path);
  return { status: 200 };
}

/** @see Path - Get Properties */
export async function pathStatus(call: DfsCall): Promise<DfsAnswer> {
  const { services, asked, path } = call;
  services.access.requirePath(asked, {
    action: "read",
    acl: [{ path: parentOf(path), permissions: ["x"] }],
  });
  const entry = requireEntry(call);
  const headers = ownerHeaders(entry);
  if (path === "") return { status: 200, headers };
  const found = await asked.account.container(call.filesystem).getBlobClient(path).getProperties();
  return {
    status: 200,
    headers: {
      ...headers,
      etag: found.etag ?? "",
      "last-modified": found.lastModified?.toUTCString() ?? "",
      "content-length": String(found.contentLength ?? 0),
    },
  };
}

/** Whose a path is and what it allows, as headers. */
export function ownerHeaders(entry: PathEntry): Record<string, string> {
  return {
    "x-ms-resource-type": entry.isDirectory ? "directory" : "file",
    "x-ms-owner": entry.owner,
    "x-ms-group": entry.group,
    "x-ms-permissions": permissionsOf(entry.acl),
  };
}

/** The right to write a path: its own, or of the directory that it comes into. */
export function requireWrite(call: DfsCall, known: PathEntry | null): void {
  const { services, asked, namespace, path } = call;
  services.access.requirePath(asked, {
    action: "write",
    acl:
      known === null
        ? [{ path: namespace.nearest(path), permissions: ["w", "x"] }]
        : [{ path, permissions: ["w"] }],
  });
}

function givenAcl(call: DfsCall): readonly AclEntry[] | null {
  const text = headerOf(call, "x-ms-acl");
  const permissions = headerOf(call, "x-ms-permissions");
  if (text !== undefined) return withMasks(parseAcl(text, "whole"));
  return permissions === undefined ? null : fromMode(modeOf(permissions));
}

/** `0750` or `rwxr-x---` as a mode. @throws StorageRefusal */
export function modeOf(text: string): number {
  if (/^[0-7]{3,4}$/.test(text)) return Number.parseInt(text, 8) & 0o777;
  if (/^(?:[r-][w-][x-]){3}$/.test(text))
    return text.split("").reduce((mode, one) => (mode << 1) | (one === "-" ? 0 : 1), 0);
  throw new StorageRefusal(400, "InvalidHeaderValue", {
    message:
      "The value for one of the HTTP headers is not in the correct format: x-ms-permissions.",
  });
}

function conditionsOf(call: DfsCall): { readonly conditions?: Record<string, string> } {
  const ifMatch = headerOf(call, "if-match");
  const ifNoneMatch = headerOf(call, "if-none-match");
  if (ifMatch === undefined && ifNoneMatch === undefined) return {};
  return {
    conditions: {
      ...(ifMatch === undefined ? {} : { ifMatch }),
      ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
    },
  };
}
