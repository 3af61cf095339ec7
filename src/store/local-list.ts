import type { Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errorNumber, localEtag, storeError } from "./local-io.ts";
import { compareNames, RESERVED_PREFIX } from "./name.ts";
import type { StoredObject } from "./store.ts";

/**
 * Walks a local store's files whose names begin with `prefix`, in the order of their UTF-8 bytes;
 * symbolic links and the store's own files are left out.
 * @throws store.io
 */
export async function* listLocal(
  root: string,
  prefix: string,
): AsyncGenerator<StoredObject, void, undefined> {
  yield* walk(root, { folder: "", prefix });
}

async function* walk(
  root: string,
  at: { readonly folder: string; readonly prefix: string },
): AsyncGenerator<StoredObject, void, undefined> {
  for (const entry of await entriesOf(root, at.folder)) {
    const name = `${at.folder}${entry.name}`;
    if (entry.isDirectory()) {
      const folder = `${name}/`;
      if (folder.startsWith(at.prefix) || at.prefix.startsWith(folder))
        yield* walk(root, { folder, prefix: at.prefix });
    } else if (entry.isFile() && name.startsWith(at.prefix)) {
      const stats = await lstat(join(root, name), { bigint: true }).catch(ignoreMissing);
      if (stats?.isFile() === true)
        yield { name, size: Number(stats.size), etag: localEtag(stats) };
    }
  }
}

async function entriesOf(root: string, folder: string): Promise<readonly Dirent[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(
    (error: unknown) => {
      if (errorNumber(error) === "ENOENT" || errorNumber(error) === "ENOTDIR") return [];
      throw storeError(error, folder === "" ? root : folder);
    },
  );
  return entries
    .filter((entry) => !entry.name.startsWith(RESERVED_PREFIX))
    .sort((a, b) => compareNames(sortKey(a), sortKey(b)));
}

/** A folder sorts as its objects do, by its name with the '/'. */
function sortKey(entry: Dirent): string {
  return entry.isDirectory() ? `${entry.name}/` : entry.name;
}

function ignoreMissing(error: unknown): null {
  if (errorNumber(error) === "ENOENT") return null;
  throw storeError(error, "an object");
}
