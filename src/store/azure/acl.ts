import { PpmlError } from "../../base/index.ts";

/** Who may what at a directory: one entry of a POSIX ACL, in the words of Azure. */
export type AclEntry = {
  /** For the directory itself, or for what will come into it. */
  readonly isDefault: boolean;
  readonly type: "user" | "group" | "mask" | "other";
  /** Object id in Entra ID; "" for the owner, the owning group, mask and other. */
  readonly id: string;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
};

const OBJECT_ID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const FORM = "user:OBJECT-ID:r-x or default:user:OBJECT-ID:r-x";
/** The service's bound, for a directory's own entries and its default ones each. */
const MAX_ENTRIES = 32;

/**
 * Reads entries such as `user:OBJECT-ID:r-x,default:user:OBJECT-ID:r-x`.
 * @throws cli.usage with the entry that is wrong
 * @see "Access control lists in Azure Data Lake Storage"
 */
export function parseAclEntries(text: string): readonly AclEntry[] {
  const entries = text.split(",").map((part) => parseEntry(part.trim()));
  const keys = new Set(entries.map(({ isDefault, type, id }) => `${isDefault} ${type} ${id}`));
  if (keys.size !== entries.length) throw aclError("an entry is given twice", text);
  if (entries.length > 2 * MAX_ENTRIES)
    throw aclError(`more than ${MAX_ENTRIES} entries of a kind`, text);
  return entries;
}

/** The entries that let an identity read, or read and write, a directory and all that comes into it. */
export function jobEntries(objectId: string, may: "read" | "write"): readonly AclEntry[] {
  const id = requireObjectId(objectId);
  const entry = { type: "user", id, read: true, write: may === "write", execute: true } as const;
  return [
    { ...entry, isDefault: false },
    { ...entry, isDefault: true },
  ];
}

/** The entry that lets an identity pass through a directory, and see nothing of it. */
export function passEntry(objectId: string): AclEntry {
  const id = requireObjectId(objectId);
  return { isDefault: false, type: "user", id, read: false, write: false, execute: true };
}

/** Entries in Azure's text: what is shown of them. */
export function formatEntries(entries: readonly AclEntry[]): string {
  return entries
    .map(({ isDefault, type, id, read, write, execute }) => {
      const permissions = `${read ? "r" : "-"}${write ? "w" : "-"}${execute ? "x" : "-"}`;
      return `${isDefault ? "default:" : ""}${type}:${id}:${permissions}`;
    })
    .join(",");
}

function parseEntry(text: string): AclEntry {
  const parts = text.split(":");
  const isDefault = parts[0] === "default";
  const [type = "", id = "", permissions = "", ...others] = isDefault ? parts.slice(1) : parts;
  if (type !== "user" && type !== "group" && type !== "mask" && type !== "other")
    throw aclError("it begins with user, group, mask or other, or with default: before them", text);
  if (!/^[r-][w-][x-]$/.test(permissions) || others.length > 0)
    throw aclError("it ends with three of r, w, x or '-'", text);
  const isNamed = type === "user" || type === "group";
  if (id !== "" && !(isNamed && OBJECT_ID.test(id)))
    throw aclError("who it is for is an object id of Entra ID (not a name), or nobody", text);
  const [read, write, execute] = ["r", "w", "x"].map((one) => permissions.includes(one));
  return {
    isDefault,
    type,
    id: id.toLowerCase(),
    read: read === true,
    write: write === true,
    execute: execute === true,
  };
}

function requireObjectId(text: string): string {
  if (OBJECT_ID.test(text)) return text.toLowerCase();
  throw aclError("an identity is named by its object id (az ad sp show --query id)", text);
}

function aclError(why: string, text: string): PpmlError {
  const shown = JSON.stringify(text.slice(0, 200));
  return new PpmlError("cli.usage", `${shown} is no entry of an ACL: ${why}: write ${FORM}`);
}
