const CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * Bytes on their way out: filled in place, given away as a chunk when full.
 * Fresh memory costs more than the cipher (each page of it is a fault), so an output that `lends`
 * fills one buffer again and again; its chunks are valid until the next one is asked for.
 */
export type Output = {
  buffer: Uint8Array<ArrayBuffer>;
  used: number;
  /** Bytes given away so far. */
  emitted: number;
  readonly lends: boolean;
};

/** An empty output. */
export function createOutput(options: { readonly lends: boolean }): Output {
  return { buffer: new Uint8Array(0), used: 0, emitted: 0, lends: options.lends };
}

/** The offset in the whole output where the next byte goes. */
export function position(output: Output): number {
  return output.emitted + output.used;
}

/** Tells whether `length` more bytes fit without giving a chunk away. */
export function fits(output: Output, length: number): boolean {
  return output.used + length <= output.buffer.byteLength;
}

/** Chunks to give away so that `length` more bytes fit. */
export function* reserve(output: Output, length: number): Generator<Uint8Array, void> {
  if (fits(output, length)) return;
  if (output.used > 0) yield take(output);
  if (output.buffer.byteLength >= length) return;
  // Not zeroed: every byte is written before it is given away.
  output.buffer = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, length));
}

/** Takes what is there as a chunk; one that is not lent is the whole of its own buffer. */
export function take(output: Output): Uint8Array {
  const { buffer, used, lends } = output;
  output.emitted += used;
  output.used = 0;
  if (lends) return buffer.subarray(0, used);
  output.buffer = new Uint8Array(0);
  return new Uint8Array(buffer.buffer.transfer(used));
}

/** Adds bytes for which there is room. */
export function append(output: Output, bytes: Uint8Array): void {
  output.buffer.set(bytes, output.used);
  output.used += bytes.byteLength;
}

/**
 * Gives the memory of bytes that nobody needs any more back at once, not at the next garbage
 * collection, so that the next allocation finds it warm; only where they own it.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0);
}
