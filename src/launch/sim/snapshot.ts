import { chmodSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { PpmlError } from "../../base/index.ts";
import { commandOf, measurePlan } from "./image.ts";
import type { MeasuredImage } from "./image.ts";
import { planImage } from "./image-plan.ts";
import type { ImagePlan } from "./image-plan.ts";
import { onProcessEnd } from "./process-end.ts";
import {
  makeSnapshotDirectory,
  removeSnapshotDirectory,
  snapshotParent,
} from "./snapshot-directory.ts";

/** A read-only copy of an image, measured while it was copied; removed when it is disposed of. */
export type Snapshot = AsyncDisposable &
  MeasuredImage & {
    /** Absolute, mode 0500, of this user alone. */
    readonly directory: string;
    readonly nodePath: string;
    readonly configPath: string;
    /** What follows the Node binary on the command line: measured with the files. */
    readonly command: readonly string[];
    /** Absolute path of one of the entries in the copy. @throws launch.image for others */
    readonly entryPath: (entry: string) => string;
  };

/**
 * Copies an image into a fresh folder and measures what it copied: each file's digest is taken from
 * the bytes on their way, never from the source or from what the copy says of itself.
 * `parentDir`: by default a tmpfs where it is large enough.
 * @throws launch.image
 * @see docs/attestation.md section "The measured image"
 */
export async function buildSnapshot(options: {
  readonly imageRoot: string;
  readonly entries: readonly string[];
  readonly config: Uint8Array;
  readonly nodeBinary?: string;
  readonly without?: readonly string[];
  readonly parentDir?: string;
}): Promise<Snapshot> {
  const plan = planImage(options);
  const directory = makeSnapshotDirectory(options.parentDir ?? snapshotParent(sizeOf(plan)));
  const atEnd = onProcessEnd(() => removeSnapshotDirectory(directory));
  const remove = (): void => {
    atEnd[Symbol.dispose]();
    removeSnapshotDirectory(directory);
  };
  try {
    const folders = makeFolders(directory, plan);
    const measured = await measurePlan({
      plan,
      config: options.config,
      targetOf: (path) => join(directory, path),
    });
    for (const folder of folders) chmodSync(folder, 0o500);
    return {
      ...measured,
      directory,
      nodePath: join(directory, "node"),
      configPath: join(directory, "config.json"),
      command: commandOf(plan),
      entryPath: (entry) => join(directory, entryOf(plan, options.entries, entry)),
      [Symbol.asyncDispose]: async () => {
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

function entryOf(plan: ImagePlan, entries: readonly string[], entry: string): string {
  const path = plan.entryPaths[entries.indexOf(entry)];
  if (path === undefined)
    throw new PpmlError("launch.image", `${entry} is not one of the image's entries`);
  return path;
}

/** Bytes that the copy needs, with room for the last block of each file. */
function sizeOf(plan: ImagePlan): number {
  let size = 0;
  for (const { from } of plan.files)
    size += 4096 + ("file" in from ? statSync(from.file).size : from.bytes.byteLength);
  return size;
}

/** Makes all folders of the plan; the deepest come last. */
function makeFolders(directory: string, plan: ImagePlan): string[] {
  const folders = new Set<string>();
  for (const { path } of plan.files)
    for (let at = dirname(path); at !== "."; at = dirname(at)) folders.add(join(directory, at));
  const sorted = [...folders].sort();
  for (const folder of sorted) mkdirSync(folder, { mode: 0o700 });
  return [...sorted, directory];
}
