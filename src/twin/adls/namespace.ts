import type { StorageAccount } from "./accounts.ts";
import type { Caller } from "./access.ts";
import type { PathEntry, PathPlace, PathTable } from "./path-table.ts";
import { parentOf } from "./request.ts";
import { StorageRefusal } from "./storage-error.ts";

/** The mark of a directory's blob, as the real service shows it at the blob endpoint. */
export const FOLDER_METADATA = { hdi_isfolder: "true" };

/** A filesystem's hierarchical namespace: rows of the twin's state, and an empty blob a directory. */
export type Namespace = {
  /** @throws StorageRefusal where the path is a directory, or lies below a file */
  readonly requireFilePlace: (path: string) => void;
  /** Makes the directories above a path that are missing. */
  readonly makeParents: (path: string, caller: Caller) => Promise<void>;
  readonly makeDirectory: (path: string, options: MakeOptions) => Promise<PathEntry>;
  /** The nearest directory above that exists: where creating needs the right to write. */
  readonly nearest: (path: string) => string;
};

export type MakeOptions = { readonly caller: Caller; readonly umask?: number };

/** Opens the namespace of a filesystem. */
export function openNamespace(
  paths: PathTable,
  { account, filesystem }: { readonly account: StorageAccount; readonly filesystem: string },
): Namespace {
  const place: PathPlace = { account: account.name, filesystem };
  const container = account.container(filesystem);
  const nearest = (path: string): string => {
    let at = parentOf(path);
    while (at !== "" && paths.get(place, at) === null) at = parentOf(at);
    return at;
  };
  const requireFolders = (path: string): void => {
    for (let at = parentOf(path); at !== ""; at = parentOf(at))
      if (paths.get(place, at)?.isDirectory === false)
        throw new StorageRefusal(409, "ResourceTypeMismatch");
  };
  const makeDirectory: Namespace["makeDirectory"] = async (path, options) => {
    const known = paths.get(place, path);
    if (known !== null) {
      if (!known.isDirectory) throw new StorageRefusal(409, "ResourceTypeMismatch");
      return known;
    }
    requireFolders(path);
    await makeDirectory(parentOf(path), { caller: options.caller });
    const blob = container.getBlockBlobClient(path);
    await blob.upload("", 0, { metadata: FOLDER_METADATA });
    const { umask } = options;
    const made = { path, isDirectory: true, owner: ownerOf(options.caller) };
    return paths.make(place, umask === undefined ? made : { ...made, umask });
  };
  return {
    nearest,
    makeDirectory,
    requireFilePlace: (path) => {
      requireFolders(path);
      if (paths.get(place, path)?.isDirectory === true)
        throw new StorageRefusal(409, "ResourceTypeMismatch");
    },
    makeParents: async (path, caller) => {
      const parent = parentOf(path);
      if (parent !== "") await makeDirectory(parent, { caller });
    },
  };
}

/** Who owns what a caller makes. */
export function ownerOf(caller: Caller): string {
  return caller.kind === "key" ? "$superuser" : caller.principal.objectId;
}
