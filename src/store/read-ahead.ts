import { PpmlError } from "../base/index.ts";
import type { ByteSource } from "../base/index.ts";

/** A range of a source, in bytes. */
export type ByteRange = { readonly offset: number; readonly length: number };

// One read runs while the bytes of the one before are worked on; two hide the store's pauses.
const DEPTH = 2;

/**
 * Reads ranges in order, the next two while the consumer works on one.
 * @throws store.io where the source gives another length; what the source's reads throw
 */
export async function* readAhead(
  source: ByteSource,
  ranges: Iterable<ByteRange>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pending: Promise<Uint8Array>[] = [];
  for (const range of ranges) {
    const read = readWhole(source, range);
    // A consumer that stops early leaves reads behind, which must not end the process.
    read.catch(() => {});
    pending.push(read);
    const next = pending.length > DEPTH ? pending.shift() : undefined;
    if (next !== undefined) yield await next;
  }
  for (const read of pending) yield await read;
}

async function readWhole(source: ByteSource, range: ByteRange): Promise<Uint8Array> {
  const bytes = await source.read(range.offset, range.length);
  if (bytes.byteLength !== range.length)
    throw new PpmlError(
      "store.io",
      `asked for ${range.length} bytes at ${range.offset}, got ${bytes.byteLength}`,
    );
  return bytes;
}
