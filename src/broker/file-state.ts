import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/**
 * A text that differs once a file, or a folder's list or files, changed: names, sizes, times and inodes.
 * What cannot be looked at is part of it too, so that its return is a change.
 */
export async function fileStateOf(paths: readonly string[]): Promise<string> {
  const states = await Promise.all(paths.map(stateOf));
  return JSON.stringify(states);
}

async function stateOf(path: string): Promise<readonly unknown[]> {
  try {
    const found = await stat(path);
    if (!found.isDirectory()) return [path, found.ino, found.size, found.mtimeMs, found.ctimeMs];
    const names = (await readdir(path)).toSorted();
    return [path, ...(await Promise.all(names.map((name) => stateOf(join(path, name)))))];
  } catch {
    return [path, "missing"]; // Whoever reads it says why.
  }
}
