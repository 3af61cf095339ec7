import { lstat, mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PpmlError, type Secret } from "../base/index.ts";
import { errnoOf, syncFolder } from "../key/private-file.ts";
import { existsError, ioError, writeDurably } from "./secret-sink.ts";

/** What a folder of secret files is to hold. */
export type FolderContent = {
  readonly path: string;
  /** Names and contents of all files. */
  readonly files: ReadonlyMap<string, Secret>;
  /** Names that a folder of an earlier run may have: only such a folder is replaced. */
  readonly ownNames: readonly string[];
  /** True: a folder of an earlier run is replaced as a whole. */
  readonly replace: boolean;
};

/**
 * Refuses a place where `publishFolder` would refuse, before the work is done; puts a folder back that a
 * replacement which was cut off had moved aside, and removes what such runs left.
 * @throws provision.exists provision.io
 */
export async function prepareFolder(content: Omit<FolderContent, "files">): Promise<void> {
  const { path, ownNames, replace } = content;
  try {
    await mkdir(dirname(path), { recursive: true });
    await clearLeftovers(path);
    const names = await namesIn(path);
    if (names === null || names.length === 0) return;
    if (!replace) throw existsError(path);
    const foreign = names.find((name) => !ownNames.includes(name));
    if (foreign === undefined) return;
    throw new PpmlError(
      "provision.exists",
      `${path} holds ${JSON.stringify(foreign)}, which is not of these files: nothing is replaced`,
      { detail: { path, remedy: "choose another folder, or move that file away" } },
    );
  } catch (cause) {
    throw ioError(path, cause);
  }
}

/**
 * Makes a folder of mode 0700 with files of mode 0600, all at once: they are written and synced under
 * another name, which is then changed. Killed anywhere, the old folder or the new one is there whole, or
 * for a moment of a replacement neither: then the next call puts the old one back first.
 * @throws provision.exists provision.io
 */
export async function publishFolder(content: FolderContent): Promise<void> {
  const { path, files, replace } = content;
  await prepareFolder(content);
  const made = `${stem(path)}new-${process.pid}`;
  try {
    await mkdir(made, { mode: 0o700 });
    for (const [name, secret] of files) await writeDurably(join(made, name), secret);
    await syncFolder(made);
    if (replace) await moveAside(path);
    // POSIX: rename() takes the place of an empty folder, and of no other.
    await rename(made, path);
    await syncFolder(dirname(path));
    await rm(asideOf(path), { recursive: true, force: true });
  } catch (cause) {
    if (["ENOTEMPTY", "EEXIST"].includes(errnoOf(cause))) throw existsError(path);
    throw ioError(path, cause);
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

async function moveAside(path: string): Promise<void> {
  try {
    await rename(path, asideOf(path));
  } catch (cause) {
    if (errnoOf(cause) !== "ENOENT") throw cause;
  }
}

async function clearLeftovers(path: string): Promise<void> {
  const start = basename(`${stem(path)}new-`);
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(start)) continue;
    // Keys of a run that was killed. One that is still at work keeps its folder.
    if (isRunning(name.slice(start.length))) continue;
    await rm(join(dirname(path), name), { recursive: true, force: true });
  }
  if ((await namesIn(asideOf(path))) === null) return;
  // Killed after the old folder was moved aside: before the new one was in place, or after.
  if ((await namesIn(path)) === null) await rename(asideOf(path), path);
  else await rm(asideOf(path), { recursive: true, force: true });
}

/** The names in a folder, or null where there is nothing; a link or a file is refused. */
async function namesIn(path: string): Promise<string[] | null> {
  try {
    if ((await lstat(path)).isDirectory()) return await readdir(path);
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT") return null;
    throw cause;
  }
  throw new PpmlError("provision.exists", `${path} is not a folder`, {
    detail: { path, remedy: "choose another place" },
  });
}

function isRunning(pid: string): boolean {
  if (!/^\d{1,10}$/.test(pid)) return false;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (cause) {
    // EPERM: somebody else's process.
    return errnoOf(cause) === "EPERM";
  }
}

function asideOf(path: string): string {
  return `${stem(path)}old`;
}

/** Beside the folder, hidden, and known as ours. */
function stem(path: string): string {
  return join(dirname(path), `.${basename(path)}.ppml-`);
}
