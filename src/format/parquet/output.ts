const CHUNK_BYTES = 4 * 1024 * 1024;

/** Bytes on their way out: filled in place, given away as a chunk when full. */
export type Output = {
  buffer: Uint8Array;
  used: number;
  /** Bytes given away so far. */
  emitted: number;
};

/** An empty output. */
export function createOutput(): Output {
  return { buffer: new Uint8Array(0), used: 0, emitted: 0 };
}

/** The offset in the whole output where the next byte goes. */
export function position(output: Output): number {
  return output.emitted + output.used;
}

/** Tells whether `length` more bytes fit without giving a chunk away. */
export function fits(output: Output, length: number): boolean {
  return output.used + length <= output.buffer.byteLength;
}

/** Takes what is there as a chunk of its own, which the output never touches again. */
export function take(output: Output): Uint8Array {
  const chunk = output.buffer.subarray(0, output.used);
  output.emitted += output.used;
  output.buffer = output.buffer.subarray(output.used);
  output.used = 0;
  return chunk;
}

/** Makes room for `length` bytes in an output that was just taken. */
export function grow(output: Output, length: number): void {
  // Not zeroed: every byte is written before it is given away.
  output.buffer = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, length));
}

/** Chunks to give away so that `length` more bytes fit. */
export function* reserve(output: Output, length: number): Generator<Uint8Array, void> {
  if (fits(output, length)) return;
  if (output.used > 0) yield take(output);
  grow(output, length);
}

/** Adds bytes for which there is room. */
export function append(output: Output, bytes: Uint8Array): void {
  output.buffer.set(bytes, output.used);
  output.used += bytes.byteLength;
}
