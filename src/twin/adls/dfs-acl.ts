import { formatAcl, fromMode, modifyAcl, parseAcl, removeFromAcl, withMasks } from "./acl.ts";
import type { AclEntry } from "./acl.ts";
import type { DfsAnswer, DfsCall } from "./dfs-call.ts";
import { modeOf, ownerHeaders, placeOf, requireEntry } from "./dfs-paths.ts";
import type { PathEntry } from "./path-table.ts";
import { headerOf, parentOf } from "./request.ts";
import { StorageRefusal } from "./storage-error.ts";

const MAX_RECORDS = 2000;

/** @see Path - Get Properties, getAccessControl */
export async function getAccessControl(call: DfsCall): Promise<DfsAnswer> {
  const { services, asked, path } = call;
  services.access.requirePath(asked, {
    action: "read",
    acl: [{ path: parentOf(path), permissions: ["x"] }],
  });
  const entry = requireEntry(call);
  return { status: 200, headers: { ...ownerHeaders(entry), "x-ms-acl": formatAcl(entry.acl) } };
}

/** @see Path - Update, setAccessControl */
export async function setAccessControl(call: DfsCall): Promise<DfsAnswer> {
  requireOwner(call);
  const entry = requireEntry(call);
  const [text, permissions] = [headerOf(call, "x-ms-acl"), headerOf(call, "x-ms-permissions")];
  const owner = headerOf(call, "x-ms-owner") ?? entry.owner;
  const group = headerOf(call, "x-ms-group") ?? entry.group;
  if (text !== undefined && permissions !== undefined)
    throw new StorageRefusal(400, "InvalidInput", {
      message: "x-ms-acl and x-ms-permissions exclude each other.",
    });
  const acl =
    text === undefined
      ? permissions === undefined
        ? entry.acl
        : modifyAcl(entry.acl, fromMode(modeOf(permissions)))
      : withMasks(parseAcl(text, "whole"));
  requireScopes(entry, acl);
  call.services.paths.put(placeOf(call), { ...entry, acl, owner, group });
  return { status: 200 };
}

/** Changes a directory and all below it, page by page. @see Path - Update, setAccessControlRecursive */
export async function setAccessControlRecursive(call: DfsCall): Promise<DfsAnswer> {
  requireOwner(call);
  const { services, query, path } = call;
  const change = changeOf(query.get("mode"), headerOf(call, "x-ms-acl") ?? "");
  const place = placeOf(call);
  const limit = Math.min(Number(query.get("maxRecords") ?? MAX_RECORDS), MAX_RECORDS);
  const after = Buffer.from(query.get("continuation") ?? "", "base64").toString("utf8");
  const all = [requireEntry(call), ...services.paths.below(place, path, true)].filter(
    (entry) => after === "" || entry.path > after,
  );
  const page = all.slice(0, limit);
  for (const entry of page) services.paths.put(place, { ...entry, acl: change(entry) });
  const directories = page.filter(({ isDirectory }) => isDirectory).length;
  const last = page.at(-1);
  return {
    status: 200,
    json: {
      directoriesSuccessful: directories,
      filesSuccessful: page.length - directories,
      failureCount: 0,
      failedEntries: [],
    },
    headers:
      all.length > page.length && last !== undefined
        ? { "x-ms-continuation": Buffer.from(last.path).toString("base64") }
        : {},
  };
}

/** The change of one entry; files have no default ACL. */
function changeOf(mode: string | null, text: string): (entry: PathEntry) => readonly AclEntry[] {
  if (mode === "set") {
    const acl = withMasks(parseAcl(text, "whole"));
    return (entry) => forEntry(entry, acl);
  }
  if (mode === "modify") {
    const changes = parseAcl(text, "entries");
    return (entry) =>
      withMasks(modifyAcl(withoutMask(entry.acl, changes), forEntry(entry, changes)));
  }
  if (mode === "remove") {
    const removals = parseAcl(text, "removal");
    return (entry) => withMasks(removeFromAcl(withoutMask(entry.acl, []), removals));
  }
  throw new StorageRefusal(400, "InvalidQueryParameterValue", {
    message: "Value for one of the query parameters specified in the request URI is invalid: mode.",
  });
}

function forEntry(entry: PathEntry, acl: readonly AclEntry[]): readonly AclEntry[] {
  return entry.isDirectory ? acl : acl.filter(({ scope }) => scope === "access");
}

/** The mask is computed anew unless the change names it. */
function withoutMask(acl: readonly AclEntry[], changes: readonly AclEntry[]): readonly AclEntry[] {
  return changes.some(({ type }) => type === "mask")
    ? acl
    : acl.filter(({ type }) => type !== "mask");
}

function requireScopes(entry: PathEntry, acl: readonly AclEntry[]): void {
  if (!entry.isDirectory && acl.some(({ scope }) => scope === "default"))
    throw new StorageRefusal(400, "DefaultAclOnFileNotAllowed", {
      message: "A file cannot have a default ACL.",
    });
}

/** Only a role that says so, or the owner of the path, changes who may what. */
function requireOwner(call: DfsCall): void {
  const { services, asked, path } = call;
  services.access.requirePath(asked, {
    action: "modifyPermissions/action",
    acl: null,
    ownerOf: path,
  });
}
