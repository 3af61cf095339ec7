import { fstatSync, linkSync, lstatSync, renameSync, unlinkSync } from "node:fs";
import { access, constants, lstat, mkdir, realpath, rmdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isPpmlError, PpmlError } from "../base/index.ts";
import {
  checkParents,
  errorNumber,
  folderError,
  localEtag,
  storeError,
  syncFolder,
} from "./local-io.ts";
import { listLocal } from "./local-list.ts";
import { withRootLock } from "./local-lock.ts";
import { planReplace, writePlan } from "./local-replace.ts";
import { openLocalSource } from "./local-source.ts";
import { createTemporary, discardTemporary, removeLeftovers, writeChunks } from "./local-write.ts";
import type { TemporaryFile } from "./local-write.ts";
import { parseStoreName } from "./name.ts";
import type {
  Chunks,
  PutCondition,
  PutOptions,
  Store,
  StoredObject,
  StoreSource,
} from "./store.ts";

/**
 * Opens a folder as a store: one file an object. Writes go to a temporary file in the same folder,
 * which is synced and renamed; symbolic links below the root are never followed. The folder is made
 * by the first write.
 * @param path the root folder
 */
export function openLocalStore(path: string): Store {
  const local: LocalStore = { path: resolve(path), swept: new Set() };
  return {
    uri: pathToFileURL(local.path).href,
    putsAtOnce: 1,
    put: (name, chunks, options) => put(local, name, { chunks, options: options ?? {} }),
    checkPut: () => checkPut(local),
    head: (name) => head(local, name),
    source: (name) => source(local, name),
    list: (prefix) => list(local, prefix),
    delete: (name, condition) => remove(local, name, condition?.ifMatch),
    replace: (name, edit) => replace(local, name, edit),
  };
}

type LocalStore = { readonly path: string; readonly swept: Set<string> };
type Written = { readonly etag: string; readonly size: number };
type Place = { readonly root: string; readonly path: string; readonly name: string };

async function put(
  local: LocalStore,
  name: string,
  input: { readonly chunks: Chunks; readonly options: PutOptions },
): Promise<Written> {
  const { chunks, options } = input;
  let place = await makePlace(local, name);
  // Told early, so that nothing is sealed in vain; what counts is the check at the commit.
  checkCondition(place, options);
  const file = await createTemporary(dirname(place.path)).catch(async (error: unknown) => {
    if (errorNumber(error) !== "ENOENT") throw storeError(error, name);
    // Another writer has just deleted the folder's last object, and the folder with it.
    place = await makePlace(local, name);
    return createTemporary(dirname(place.path)).catch((again: unknown) => {
      throw storeError(again, name);
    });
  });
  try {
    const { recycle } = options;
    await writeChunks({ handle: file.handle, name, position: 0 }, { chunks, recycle });
    return await commit(file, place, options);
  } finally {
    await discardTemporary(file);
  }
}

async function replace(
  local: LocalStore,
  name: string,
  edit: Parameters<Store["replace"]>[1],
): Promise<Written> {
  const place = await findPlace(local, name).catch((error: unknown) => {
    throw isPpmlError(error, "store.not_found") ? changed(name) : error;
  });
  await using old = await openLocalSource(place.path, { name, followLink: false }).catch(
    (error: unknown) => {
      throw isPpmlError(error, "store.not_found") ? changed(name) : error;
    },
  );
  if (old.etag !== edit.ifMatch) throw changed(name);
  const target = edit.as === undefined ? place : await makePlace(local, edit.as);
  const plan = planReplace(edit.parts, old.size);
  const file = await writePlan(plan, { path: place.path, name, old, target: target.path });
  try {
    // The clone is made by name: where another version has come there, it is of nothing that was read.
    if (target !== place && existingEtag(place) !== edit.ifMatch) throw changed(name);
    return await commit(file, target, target === place ? { ifMatch: edit.ifMatch } : {});
  } finally {
    await discardTemporary(file);
  }
}

/** The folder, or the nearest one above it that exists, is one that this user may write to. */
async function checkPut(local: LocalStore): Promise<void> {
  try {
    let folder = local.path;
    let found = await findRoot(local).catch(missingIsNull);
    while (found === null && folder !== dirname(folder)) {
      folder = dirname(folder);
      found = await realpath(folder).catch(missingIsNull);
    }
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw folderError(error, local.path);
  }
}

function missingIsNull(error: unknown): null {
  if (errorNumber(error) === "ENOENT") return null;
  throw error;
}

async function head(local: LocalStore, name: string): Promise<StoredObject | null> {
  try {
    const place = await findPlace(local, name);
    const stats = await lstat(place.path, { bigint: true });
    if (stats.isSymbolicLink()) throw symbolicLink(name);
    return stats.isFile() ? { name, size: Number(stats.size), etag: localEtag(stats) } : null;
  } catch (error) {
    const storeFault = storeError(error, name);
    if (storeFault.code === "store.not_found") return null;
    throw storeFault;
  }
}

async function source(local: LocalStore, name: string): Promise<StoreSource> {
  const place = await findPlace(local, name);
  return openLocalSource(place.path, { name, followLink: false });
}

async function* list(local: LocalStore, prefix: string): AsyncGenerator<StoredObject> {
  const root = await findRoot(local).catch((error: unknown) => {
    if (errorNumber(error) === "ENOENT") return null;
    throw storeError(error, local.path);
  });
  if (root !== null) yield* listLocal(root, prefix);
}

async function remove(local: LocalStore, name: string, ifMatch?: string): Promise<void> {
  const place = await findPlace(local, name).catch((error: unknown) => {
    if (isPpmlError(error, "store.not_found")) return null;
    throw error;
  });
  if (place === null) {
    if (ifMatch !== undefined) throw changed(name);
    return;
  }
  try {
    await withRootLock(place.root, () => {
      const existing = existingEtag(place);
      if (ifMatch !== undefined && existing !== ifMatch) throw changed(name);
      if (existing !== null) unlinkSync(place.path);
    });
    await syncFolder(await removeEmptyFolders(place));
  } catch (error) {
    throw storeError(error, name);
  }
}

/** Removes the folders that an object left empty, up to the root; gives the first that stays. */
async function removeEmptyFolders(place: Place): Promise<string> {
  let folder = dirname(place.path);
  while (folder !== place.root) {
    try {
      await rmdir(folder);
    } catch (error) {
      // What was written there meanwhile stays; what another removed first is as it should be.
      if (errorNumber(error) !== "ENOENT") return folder;
    }
    folder = dirname(folder);
  }
  return folder;
}

/** Syncs the file, then checks the condition and gives it its name in one locked step. */
async function commit(
  file: TemporaryFile,
  place: Place,
  condition: PutCondition,
): Promise<Written> {
  try {
    await file.handle.sync();
    const stats = await withRootLock(place.root, () => {
      checkCondition(place, condition);
      if (condition.ifNoneMatch === true) linkNew(file.path, place);
      else renameSync(file.path, place.path);
      return fstatSync(file.handle.fd, { bigint: true });
    });
    await syncFolder(dirname(place.path));
    return { etag: localEtag(stats), size: Number(stats.size) };
  } catch (error) {
    throw storeError(error, place.name);
  }
}

/** Holds also against programs that do not take the store's lock, where hard links exist. */
function linkNew(temporary: string, place: Place): void {
  try {
    linkSync(temporary, place.path);
  } catch (error) {
    if (errorNumber(error) === "EEXIST") throw error;
    renameSync(temporary, place.path);
    return;
  }
  unlinkSync(temporary);
}

function checkCondition(place: Place, condition: PutCondition): void {
  const { name } = place;
  const existing = existingEtag(place);
  if (condition.ifNoneMatch === true && existing !== null)
    throw new PpmlError("store.exists", `the store already has an object "${name}"`);
  if (condition.ifMatch !== undefined && existing !== condition.ifMatch) throw changed(name);
}

/** The etag of the file in that place; null where there is none. */
function existingEtag(place: Place): string | null {
  const stats = lstatSync(place.path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return null;
  if (stats.isSymbolicLink()) throw symbolicLink(place.name);
  if (!stats.isFile())
    throw new PpmlError("store.name", `"${place.name}" is not a file: choose another name`);
  return localEtag(stats);
}

/** The folder's real path. @throws store.name where something else has its name; errors of node:fs */
async function findRoot(local: LocalStore): Promise<string> {
  const root = await realpath(local.path);
  if ((await lstat(root)).isDirectory()) return root;
  throw new PpmlError(
    "store.name",
    `the store ${local.path} is a file, expected a folder: name another one, or move the file away`,
    { detail: { path: local.path } },
  );
}

async function findPlace(local: LocalStore, name: string): Promise<Place> {
  const parts = parseStoreName(name);
  const root = await findRoot(local).catch((error: unknown) => {
    throw storeError(error, name);
  });
  await checkParents(root, parts);
  return { root, path: join(root, ...parts), name };
}

async function makePlace(local: LocalStore, name: string): Promise<Place> {
  const parts = parseStoreName(name);
  try {
    await mkdir(local.path, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      // Said in findRoot, of the folder and not of the object.
      if (errorNumber(error) !== "EEXIST") throw folderError(error, local.path);
    });
    const root = await findRoot(local);
    // One after the other, each checked before the next is made in it: a link must not lead out.
    for (let count = 1; count < parts.length; count += 1) {
      await makeFolder(join(root, ...parts.slice(0, count)));
      await checkParents(root, parts.slice(0, count + 1));
    }
    const path = join(root, ...parts);
    await sweep(local, dirname(path));
    return { root, path, name };
  } catch (error) {
    throw storeError(error, name);
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (errorNumber(error) === "EEXIST") return;
    throw error;
  }
  await syncFolder(dirname(folder));
}

async function sweep(local: LocalStore, folder: string): Promise<void> {
  if (local.swept.has(folder)) return;
  local.swept.add(folder);
  await removeLeftovers(folder, Date.now());
}

function changed(name: string): PpmlError {
  return new PpmlError(
    "store.conflict",
    `"${name}" is not the version that was read: read it again and repeat`,
    { detail: { name } },
  );
}

function symbolicLink(name: string): PpmlError {
  return new PpmlError(
    "store.name",
    `"${name}" is a symbolic link, which a store never follows: put the file itself there`,
  );
}
