import { formatAcl, fromMode, inheritAcl, parseAcl } from "./acl.ts";
import type { AclEntry } from "./acl.ts";

/** Where a path is: an account's filesystem. */
export type PathPlace = { readonly account: string; readonly filesystem: string };

/** What the double keeps of a path beside the blob: whose it is, and who may what. */
export type PathEntry = {
  readonly path: string;
  readonly isDirectory: boolean;
  readonly owner: string;
  readonly group: string;
  readonly acl: readonly AclEntry[];
};

/** The hierarchical namespaces of the double: directories, owners and ACLs. */
export type PathTable = {
  /** The entry of a path; "" is the filesystem's root, which always has one. */
  readonly get: (place: PathPlace, path: string) => PathEntry | null;
  readonly put: (place: PathPlace, entry: PathEntry) => void;
  /** Makes what is missing of a path, and of the directories above it, with inherited ACLs. */
  readonly make: (place: PathPlace, made: MadePath) => PathEntry;
  /** Removes a path and all below it. */
  readonly remove: (place: PathPlace, path: string) => void;
  /** Moves a path and all below it. */
  readonly move: (place: PathPlace, from: string, to: string) => void;
  /** Everything below a directory, in the order of names; `recursive` or its direct children. */
  readonly below: (place: PathPlace, directory: string, isRecursive: boolean) => PathEntry[];
  /** Forgets a filesystem. */
  readonly drop: (place: PathPlace) => void;
};

/** A path to make. */
export type MadePath = {
  readonly path: string;
  readonly isDirectory: boolean;
  readonly owner: string;
  /** 0o027 where the client names none. */
  readonly umask?: number;
};

const SUPERUSER = "$superuser";
const DEFAULT_UMASK = 0o027;

/** What the rows are kept in: the twin's state, or a map for tests. */
export type PathRows = {
  readonly get: (id: string) => PathRow | null;
  readonly put: (id: string, row: PathRow) => void;
  readonly remove: (id: string) => void;
  /** Rows whose ids begin so, in the order of their ids. */
  readonly list: (prefix: string) => readonly { readonly id: string; readonly row: PathRow }[];
};

/** One path as it is kept. */
export type PathRow = {
  readonly isDirectory: boolean;
  readonly owner: string;
  readonly group: string;
  /** As `formatAcl` writes it. */
  readonly acl: string;
};

/** The namespaces in rows. */
export function openPathTable(rows: PathRows): PathTable {
  const get: PathTable["get"] = (place, path) => {
    const row = rows.get(`${rootOf(place)}${path}`);
    if (row !== null) return toEntry(path, row);
    return path === "" ? rootEntry() : null;
  };
  const put: PathTable["put"] = (place, { path, isDirectory, owner, group, acl }) =>
    rows.put(`${rootOf(place)}${path}`, { isDirectory, owner, group, acl: formatAcl(acl) });
  const below: PathTable["below"] = (place, directory, isRecursive) => {
    const root = rootOf(place);
    const start = directory === "" ? "" : `${directory}/`;
    return rows
      .list(`${root}${start}`)
      .map(({ id, row }) => toEntry(id.slice(root.length), row))
      .filter(
        ({ path }) => path !== "" && (isRecursive || !path.slice(start.length).includes("/")),
      );
  };
  const subtree = (place: PathPlace, path: string): PathEntry[] => {
    const own = get(place, path);
    return [...(own === null ? [] : [own]), ...below(place, path, true)];
  };
  const remove: PathTable["remove"] = (place, path) => {
    for (const entry of subtree(place, path)) rows.remove(`${rootOf(place)}${entry.path}`);
  };
  const make: PathTable["make"] = (place, made) => {
    const known = get(place, made.path);
    if (known !== null) return known;
    const parentPath = made.path.split("/").slice(0, -1).join("/");
    const parent = make(place, { ...made, path: parentPath, isDirectory: true });
    const umask = made.umask ?? DEFAULT_UMASK;
    const { path, isDirectory, owner } = made;
    const acl = inheritAcl(parent.acl, { isDirectory, umask });
    const entry = { path, isDirectory, owner, group: parent.group, acl };
    put(place, entry);
    return entry;
  };
  return {
    get,
    put,
    make,
    below,
    remove,
    move: (place, from, to) => {
      const moved = subtree(place, from);
      remove(place, to);
      remove(place, from);
      for (const entry of moved)
        put(place, { ...entry, path: `${to}${entry.path.slice(from.length)}` });
    },
    drop: (place) => {
      for (const { id } of rows.list(rootOf(place))) rows.remove(id);
    },
  };
}

function rootOf({ account, filesystem }: PathPlace): string {
  return `${account}/${filesystem}/`;
}

function rootEntry(): PathEntry {
  return { path: "", isDirectory: true, owner: SUPERUSER, group: SUPERUSER, acl: fromMode(0o750) };
}

function toEntry(path: string, { isDirectory, owner, group, acl }: PathRow): PathEntry {
  return { path, isDirectory, owner, group, acl: parseAcl(acl, "entries") };
}
