import { link, lstat, mkdir, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PpmlError, tryFileLock } from "../base/index.ts";

/** The folder in which `ppml init` makes everything before the first name of the project exists. */
export const STAGING = ".ppml.new";

/** The keys and the state of a project: taking this name is what completes an init. */
export const STATE_FOLDER = ".ppml";

/** A locked staging folder. Disposing drops the lock; `remove` takes the folder away. */
export type Staging = Disposable & {
  /** Where the project's tree is made: the state in `.ppml`, files under their own paths. */
  readonly tree: string;
  /** Gives a staged file its name in the project, which must be free. */
  place(path: string): Promise<void>;
  /** Gives the staged state its name: from then on the project is whole. */
  commit(): Promise<void>;
  /** Takes placed files back, unless committed, and removes the folder. */
  remove(): Promise<void>;
};

/**
 * Makes the staging folder of a project's folder, locked against a second init.
 * @throws cli.exists where another init is at work there
 */
export async function makeStaging(root: string): Promise<Staging> {
  const folder = join(root, STAGING);
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause;
    throw busy(root, cause);
  }
  const staging = await lockStaging(root);
  try {
    // A crash leaves this folder, and git is to see none of its keys.
    await writeFile(join(folder, ".gitignore"), "*\n");
    await mkdir(join(staging.tree, STATE_FOLDER), { recursive: true, mode: 0o700 });
    return staging;
  } catch (error) {
    staging[Symbol.dispose]();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Clears what an init that was cut off left in a project's folder: its staging folder, and the files
 * that it had placed, known by their inode. Tells whether that init had completed its project.
 * @throws cli.exists where the init is still at work
 */
export async function clearLeftovers(root: string): Promise<"none" | "undone" | "completed"> {
  if (!(await exists(join(root, STAGING)))) return "none";
  using staging = await lockStaging(root);
  const completed = await isCommitted(root, staging.tree);
  await staging.remove();
  return completed ? "completed" : "undone";
}

/** Tells whether a path names anything, a broken link too. */
export async function exists(path: string): Promise<boolean> {
  return (await statOf(path)) !== null;
}

async function lockStaging(root: string): Promise<Staging> {
  const folder = join(root, STAGING);
  const tree = join(folder, "tree");
  const lock = await takeLock(root, join(folder, "lock"));
  return {
    tree,
    // A hard link and not a rename: it writes over nothing, and the shared inode proves to a later
    // init that the file is ours to take back.
    place: (path) => link(join(tree, path), join(root, path)),
    commit: async () => {
      await syncTree(tree);
      await rename(join(tree, STATE_FOLDER), join(root, STATE_FOLDER));
      await syncFile(root);
    },
    remove: async () => {
      if (!(await isCommitted(root, tree))) await takeBack(root, tree);
      await rm(folder, { recursive: true, force: true });
    },
    [Symbol.dispose]: () => lock[Symbol.dispose](),
  };
}

async function takeLock(root: string, path: string): Promise<Disposable> {
  const lock = await tryFileLock(path).catch((cause: unknown) => {
    throw new PpmlError(
      "cli.exists",
      `${join(root, STAGING)} is left of an earlier ppml init and cannot be used: remove that folder, it holds nothing that is in use`,
      { cause },
    );
  });
  if (lock === null) throw busy(root);
  return lock;
}

function busy(root: string, cause?: unknown): PpmlError {
  return new PpmlError(
    "cli.exists",
    `another ppml init is at work in ${root}: wait until it has ended; nothing was changed`,
    { cause },
  );
}

async function isCommitted(root: string, tree: string): Promise<boolean> {
  return (await exists(join(root, STATE_FOLDER))) && !(await exists(join(tree, STATE_FOLDER)));
}

async function takeBack(root: string, tree: string): Promise<void> {
  if (!(await exists(tree))) return;
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const staged = join(entry.parentPath, entry.name);
    const placed = join(root, staged.slice(tree.length + 1));
    const [ours, found] = [await statOf(staged), await statOf(placed)];
    if (ours !== null && found !== null && ours.ino === found.ino && ours.dev === found.dev)
      await rm(placed);
  }
}

async function statOf(path: string) {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    // ENOTDIR: a file stands where a folder is looked for, so that nothing has this name.
    if (
      error instanceof Error &&
      "code" in error &&
      /^(?:ENOENT|ENOTDIR)$/.test(String(error.code))
    )
      return null;
    throw error;
  }
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile() || entry.isDirectory()) await syncFile(join(entry.parentPath, entry.name));
  await syncFile(folder);
}

async function syncFile(path: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}
