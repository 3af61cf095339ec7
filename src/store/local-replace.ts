import { dirname } from "node:path";
import { checkRange, storeError } from "./local-io.ts";
import { cloneTemporary, createTemporary, discardTemporary, writeChunks } from "./local-write.ts";
import type { TemporaryFile } from "./local-write.ts";
import { readAhead } from "./read-ahead.ts";
import type { ByteRange } from "./read-ahead.ts";
import type { ReplacePart, StoreSource } from "./store.ts";

const COPY_BYTES = 1_048_576;

/** What to write where, over a clone of the old file or into an empty one. */
export type ReplacePlan = {
  readonly clone: boolean;
  readonly size: number;
  readonly steps: readonly { readonly position: number; readonly part: ReplacePart }[];
};

/**
 * Decides how a new version is made: over a clone of the old file where at least half of it stays
 * in its place, and then only what moves or is new needs to be written.
 * @param oldSize the old version's length in bytes
 * @throws base.out_of_bounds
 */
export function planReplace(parts: readonly ReplacePart[], oldSize: number): ReplacePlan {
  let position = 0;
  let inPlaceBytes = 0;
  const steps: { position: number; part: ReplacePart; inPlace: boolean }[] = [];
  for (const part of parts) {
    const inPlace = "keep" in part && part.keep.offset === position;
    const length = "keep" in part ? keptLength(part.keep, oldSize) : part.bytes.byteLength;
    if (inPlace) inPlaceBytes += length;
    steps.push({ position, part, inPlace });
    position += length;
  }
  const clone = inPlaceBytes > 0 && inPlaceBytes * 2 >= oldSize;
  return { clone, size: position, steps: steps.filter((step) => !(clone && step.inPlace)) };
}

/**
 * Makes the temporary file that a plan describes, beside `target`, the path that it will have.
 * @throws store.io, store.conflict
 */
export async function writePlan(
  plan: ReplacePlan,
  from: {
    readonly path: string;
    readonly name: string;
    readonly old: StoreSource;
    readonly target: string;
  },
): Promise<TemporaryFile> {
  const { path, name, old } = from;
  const folder = dirname(from.target);
  // The clone is made by name: if another version has come there, the commit finds it out.
  const file = await (plan.clone ? cloneTemporary(folder, path) : createTemporary(folder)).catch(
    (error: unknown) => {
      throw storeError(error, name);
    },
  );
  try {
    for (const { position, part } of plan.steps) {
      const chunks =
        "keep" in part ? readAhead(old, pieces(part.keep), { keep: true }) : [part.bytes];
      await writeChunks({ handle: file.handle, name, position }, { chunks });
    }
    if (plan.clone) await file.handle.truncate(plan.size);
    return file;
  } catch (error) {
    await discardTemporary(file);
    throw storeError(error, name);
  }
}

function* pieces(range: ByteRange): Generator<ByteRange, void, undefined> {
  const end = range.offset + range.length;
  for (let offset = range.offset; offset < end; offset += COPY_BYTES)
    yield { offset, length: Math.min(COPY_BYTES, end - offset) };
}

function keptLength(range: ByteRange, oldSize: number): number {
  checkRange(range.offset, range.length, oldSize);
  return range.length;
}
