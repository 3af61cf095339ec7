import type { BigIntStats } from "node:fs";
import { lstat, open } from "node:fs/promises";
import { join } from "node:path";
import { isPpmlError, PpmlError } from "../base/index.ts";

/**
 * Says a file system's error in the store's words; other errors of ours pass as they are.
 * @param name the object's name, for the message
 */
export function storeError(error: unknown, name: string): PpmlError {
  if (isPpmlError(error)) return error;
  const errno = errorNumber(error);
  const detail = { name, errno };
  if (errno === "ENOENT")
    return new PpmlError("store.not_found", `the store has no object "${name}"`, { detail });
  if (errno === "EEXIST")
    return new PpmlError("store.exists", `the store already has an object "${name}"`, { detail });
  if (errno === "ENOTDIR" || errno === "EISDIR" || errno === "ELOOP" || errno === "ENOTEMPTY")
    return new PpmlError(
      "store.name",
      `"${name}" is a folder, lies under a file or passes a symbolic link: choose another name`,
      { detail },
    );
  const message = error instanceof Error ? error.message : "unknown error";
  return new PpmlError("store.io", `"${name}" could not be read or written: ${message}`, {
    detail,
    cause: error,
  });
}

/** Says of a store's own folder that it cannot be made or written; errors of ours pass as they are. */
export function folderError(error: unknown, path: string): PpmlError {
  if (isPpmlError(error)) return error;
  const message = error instanceof Error ? error.message : "unknown error";
  return new PpmlError("store.io", `the store ${path} cannot be written: ${message}`, {
    cause: error,
    detail: {
      path,
      errno: errorNumber(error),
      remedy: "give yourself the right to write there, or name another folder as the store",
    },
  });
}

/** The errno's name ("ENOENT") of an error of node:fs; "" for another. */
export function errorNumber(error: unknown): string {
  if (!(error instanceof Error) || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

/**
 * A local file's etag: any change of its content, and any other file in its place, changes it (as
 * far as the file system's clock tells two changes of one inode apart).
 */
export function localEtag(stats: BigIntStats): string {
  const { ino, size, mtimeNs, ctimeNs } = stats;
  return `"${ino.toString(36)}-${size.toString(36)}-${mtimeNs.toString(36)}-${ctimeNs.toString(36)}"`;
}

/**
 * Checks that the folders from `root` down to the object are real ones: no symbolic link below the
 * root is followed, so that nothing outside it can be reached.
 * @param parts the object's name, split
 * @throws store.name
 */
export async function checkParents(root: string, parts: readonly string[]): Promise<void> {
  let folder = root;
  for (const part of parts.slice(0, -1)) {
    folder = join(folder, part);
    const stats = await lstat(folder).catch((error: unknown) => {
      throw storeError(error, parts.join("/"));
    });
    if (!stats.isDirectory())
      throw new PpmlError(
        "store.name",
        `"${parts.join("/")}" passes "${part}", which is a file or a symbolic link: choose another name`,
      );
  }
}

/** Makes a folder's entries durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Checks that a range lies wholly in `size` bytes.
 * @throws base.out_of_bounds
 */
export function checkRange(offset: number, length: number, size: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (!whole || offset < 0 || length < 0 || offset + length > size)
    throw new PpmlError(
      "base.out_of_bounds",
      `bytes ${offset} to ${offset + length} are not in the object, which has ${size}`,
    );
}
