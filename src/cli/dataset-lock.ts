import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { PpmlError, tryFileLock } from "../base/index.ts";
import type { Project } from "./config/load.ts";

/**
 * Takes the right to write the next version of a dataset from this project: two who seal it at once
 * would put their files under one name, and the manifest of one over the bytes of the other.
 * @throws store.conflict where another command of this project has it; base.io
 */
export async function lockDataset(project: Project, dataset: string): Promise<Disposable> {
  const folder = join(project.root, ".ppml", "locks");
  const path = join(folder, `${dataset}.lock`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await tryFileLock(path).catch((cause: unknown) => {
    throw new PpmlError("base.io", `${path} cannot be used: free some space, or mend its rights`, {
      cause,
    });
  });
  if (lock !== null) return lock;
  throw new PpmlError(
    "store.conflict",
    `another command of this project is writing ${dataset}: nothing was changed; wait until it has ended, then run this again`,
  );
}
