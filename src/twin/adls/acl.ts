import { StorageRefusal } from "./storage-error.ts";

/** One entry of a POSIX ACL. */
export type AclEntry = {
  readonly scope: "access" | "default";
  readonly type: "user" | "group" | "mask" | "other";
  /** Object id of a named user or group; "" for the owner, the owning group, mask and other. */
  readonly id: string;
  /** Three of `rwx-`. */
  readonly permissions: string;
};

export type Permission = "r" | "w" | "x";

const TYPES = new Set(["user", "group", "mask", "other"]);
const ID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const MAX_ENTRIES = 64;

/**
 * Reads `[default:]type:[id]:[permissions]`, comma-separated.
 * @param form `whole`: with permissions, and with the owner's, group's and other's entries; `entries`:
 * some; `removal`: without permissions
 */
export function parseAcl(text: string, form: "whole" | "entries" | "removal"): readonly AclEntry[] {
  const entries = text.split(",").map((part) => parseEntry(part, form === "removal"));
  if (entries.length > MAX_ENTRIES) throw invalid("more than 32 entries of a scope");
  const keys = new Set(entries.map((entry) => keyOf(entry)));
  if (keys.size !== entries.length) throw invalid("an entry is given twice");
  if (form === "whole")
    for (const scope of ["access", "default"] as const) requireBase(entries, scope);
  return entries;
}

function parseEntry(text: string, isRemoval: boolean): AclEntry {
  const parts = text.split(":");
  const isDefault = parts[0] === "default";
  const [type = "", id = "", permissions = ""] = isDefault ? parts.slice(1) : parts;
  const count = parts.length - (isDefault ? 1 : 0);
  if (!isType(type) || (isRemoval ? count > 2 : count !== 3)) throw invalid(`the entry "${text}"`);
  if (!isRemoval && !/^[r-][w-][x-]$/.test(permissions)) throw invalid(`permissions of "${text}"`);
  if (id !== "" && (!ID.test(id) || type === "mask" || type === "other"))
    throw invalid(`the id of "${text}"`);
  return { scope: isDefault ? "default" : "access", type, id: id.toLowerCase(), permissions };
}

function isType(type: string): type is AclEntry["type"] {
  return TYPES.has(type);
}

function requireBase(entries: readonly AclEntry[], scope: AclEntry["scope"]): void {
  const own = entries.filter((entry) => entry.scope === scope);
  if (own.length === 0 && scope === "default") return;
  for (const type of ["user", "group", "other"])
    if (!own.some((entry) => entry.type === type && entry.id === ""))
      throw invalid(`the ${scope} ACL has no entry of the owning ${type}`);
}

/** The ACL as text, in the order of the service; with a mask where a named entry or group needs one. */
export function formatAcl(entries: readonly AclEntry[]): string {
  const order = (entry: AclEntry): string =>
    `${entry.scope === "access" ? 0 : 1}${["user", "group", "mask", "other"].indexOf(entry.type)}${entry.id}`;
  return entries
    .toSorted((a, b) => (order(a) < order(b) ? -1 : 1))
    .map(
      ({ scope, type, id, permissions }) =>
        `${scope === "default" ? "default:" : ""}${type}:${id}:${permissions}`,
    )
    .join(",");
}

/** Adds the masks that named entries need, as wide as the entries that they bound. */
export function withMasks(entries: readonly AclEntry[]): readonly AclEntry[] {
  const added: AclEntry[] = [];
  for (const scope of ["access", "default"] as const) {
    const own = entries.filter((entry) => entry.scope === scope);
    const isMasked = own.some(({ type }) => type === "mask");
    if (isMasked || !own.some(({ id }) => id !== "")) continue;
    const bounded = own.filter(({ type, id }) => type === "group" || id !== "");
    const permissions = ["r", "w", "x"]
      .map((one) => (bounded.some((entry) => entry.permissions.includes(one)) ? one : "-"))
      .join("");
    added.push({ scope, type: "mask", id: "", permissions });
  }
  return [...entries, ...added];
}

/** Puts entries in the place of those with the same scope, type and id, or beside the others. */
export function modifyAcl(
  entries: readonly AclEntry[],
  changes: readonly AclEntry[],
): readonly AclEntry[] {
  const changed = new Set(changes.map((entry) => keyOf(entry)));
  return [...entries.filter((entry) => !changed.has(keyOf(entry))), ...changes];
}

/** Takes entries out; those of the owner, group and other stay. */
export function removeFromAcl(
  entries: readonly AclEntry[],
  removals: readonly AclEntry[],
): readonly AclEntry[] {
  const removed = new Set(removals.map((entry) => keyOf(entry)));
  return entries.filter((entry) => !removed.has(keyOf(entry)) || isBase(entry));
}

function isBase({ id, type }: AclEntry): boolean {
  return id === "" && type !== "mask";
}

/** `rwxr-x---`, of the access ACL; with a `+` where there are named entries. */
export function permissionsOf(entries: readonly AclEntry[]): string {
  const access = entries.filter(({ scope }) => scope === "access");
  const of = (type: AclEntry["type"]): string =>
    access.find((entry) => entry.type === type && entry.id === "")?.permissions ?? "---";
  const isExtended = access.some(({ id }) => id !== "");
  // With named entries the group's bits show the mask.
  return `${of("user")}${isExtended ? of("mask") : of("group")}${of("other")}${isExtended ? "+" : ""}`;
}

/**
 * Whether an ACL gives a principal the permissions. Groups are those that the caller knows it is in.
 * @see "Access control lists in Azure Data Lake Storage", How permissions are evaluated
 */
export function aclAllows(
  acl: { readonly owner: string; readonly group: string; readonly entries: readonly AclEntry[] },
  who: { readonly objectId: string; readonly groups: readonly string[] },
  wanted: readonly Permission[],
): boolean {
  const access = acl.entries.filter(({ scope }) => scope === "access");
  const of = (type: AclEntry["type"], id: string): string | undefined =>
    access.find((entry) => entry.type === type && entry.id === id)?.permissions;
  const mask = of("mask", "") ?? "rwx";
  const has = (permissions: string): boolean => wanted.every((one) => permissions.includes(one));
  const bounded = (permissions: string): boolean =>
    wanted.every((one) => permissions.includes(one) && mask.includes(one));
  if (who.objectId === acl.owner) return has(of("user", "") ?? "---");
  const named = of("user", who.objectId);
  if (named !== undefined) return bounded(named);
  const groups = who.groups.flatMap((id) => [
    ...(id === acl.group ? [of("group", "") ?? "---"] : []),
    ...(of("group", id) === undefined ? [] : [of("group", id) ?? "---"]),
  ]);
  if (groups.length > 0) return groups.some((permissions) => bounded(permissions));
  return has(of("other", "") ?? "---");
}

/** What a new child of a directory gets: the default entries as access entries, cut by the umask. */
export function inheritAcl(
  parent: readonly AclEntry[],
  child: { readonly isDirectory: boolean; readonly umask: number },
): readonly AclEntry[] {
  const defaults = parent.filter(({ scope }) => scope === "default");
  if (defaults.length === 0) return fromMode(0o777 & ~child.umask);
  const access = defaults.map((entry) => {
    const isMode = entry.id === "" && !child.isDirectory;
    const permissions = isMode ? entry.permissions.replace("x", "-") : entry.permissions;
    return { ...entry, scope: "access" as const, permissions };
  });
  return child.isDirectory ? [...access, ...defaults] : access;
}

/** The three entries of a mode such as 0o750. */
export function fromMode(mode: number): readonly AclEntry[] {
  const bits = (shift: number): string =>
    ["r", "w", "x"].map((one, i) => ((mode >> (shift + 2 - i)) & 1 ? one : "-")).join("");
  const entry = (type: AclEntry["type"], permissions: string): AclEntry => ({
    scope: "access",
    type,
    id: "",
    permissions,
  });
  return [entry("user", bits(6)), entry("group", bits(3)), entry("other", bits(0))];
}

function keyOf({ scope, type, id }: AclEntry): string {
  return `${scope}:${type}:${id}`;
}

function invalid(what: string): StorageRefusal {
  return new StorageRefusal(400, "InvalidHeaderValue", {
    message: `The value for one of the HTTP headers is not in the correct format: x-ms-acl: ${what}.`,
  });
}
