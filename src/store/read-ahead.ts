import { PpmlError } from "../base/index.ts";
import type { ByteSource } from "../base/index.ts";
import type { StoreSource } from "./store.ts";

/** A range of a source, in bytes. */
export type ByteRange = { readonly offset: number; readonly length: number };

// One read runs while the bytes of the one before are worked on; two hide the store's pauses.
const DEPTH = 2;

type Source = ByteSource & Pick<StoreSource, "readInto">;
type Read = (range: ByteRange) => Promise<Uint8Array>;

/**
 * Reads ranges in order, the next two while the consumer works on one.
 * @param options.keep whether the consumer keeps bytes after it asked for the next; where it does
 * not, memory is reused if the source can
 * @throws store.io where the source gives another length; what the source's reads throw
 */
export async function* readAhead(
  source: Source,
  ranges: Iterable<ByteRange>,
  options: { readonly keep: boolean },
): AsyncGenerator<Uint8Array, void, undefined> {
  const readOne = (options.keep ? null : readerIntoRing(source)) ?? readerOfNew(source);
  const pending: Promise<Uint8Array>[] = [];
  for (const range of ranges) {
    const read = readOne(range);
    // A consumer that stops early leaves reads behind, which must not end the process.
    read.catch(() => {});
    pending.push(read);
    const next = pending.length > DEPTH ? pending.shift() : undefined;
    if (next !== undefined) yield await next;
  }
  for (const read of pending) yield await read;
}

function readerOfNew(source: ByteSource): Read {
  return async (range) => {
    const bytes = await source.read(range.offset, range.length);
    if (bytes.byteLength !== range.length)
      throw new PpmlError(
        "store.io",
        `asked for ${range.length} bytes at ${range.offset}, got ${bytes.byteLength}`,
      );
    return bytes;
  };
}

/** One buffer for the range that is worked on, and one for each that is read meanwhile. */
function readerIntoRing(source: Source): Read | null {
  const { readInto } = source;
  if (readInto === undefined) return null;
  const ring: Uint8Array[] = [];
  let count = 0;
  return async ({ offset, length }) => {
    const place = count % (DEPTH + 1);
    count += 1;
    const known = ring[place];
    const buffer =
      known !== undefined && known.byteLength >= length ? known : new Uint8Array(length);
    ring[place] = buffer;
    const target = buffer.subarray(0, length);
    await readInto(offset, target);
    return target;
  };
}
