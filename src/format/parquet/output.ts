// All chunks are of one size, so that memory given back is found again by the next allocation:
// with mixed sizes the allocator returns it to the system, and a fresh page costs more than the
// cipher's work on it.
const CHUNK_BYTES = 1024 * 1024;
// A job may have a thousand small results: a whole chunk for each would call the collector.
const LEAST_CHUNK_BYTES = 16 * 1024;
const MOST_SPARE = 4;

/** Bytes on their way out: appended in any lengths, given away in chunks of one length. */
export type Output = {
  /** Chunks that are full; each is the whole of its own buffer. */
  readonly full: Uint8Array<ArrayBuffer>[];
  /** Buffers that may be filled again, in an output that lends. */
  readonly spare: Uint8Array<ArrayBuffer>[];
  buffer: Uint8Array<ArrayBuffer>;
  used: number;
  /** Bytes before `buffer`. */
  before: number;
  /** True where a chunk is valid only until the next one is asked for. */
  readonly lends: boolean;
  /** Bytes of a chunk. */
  readonly chunkBytes: number;
};

/** An empty output for about `expected` bytes; there may be more or fewer. */
export function createOutput(options: {
  readonly lends: boolean;
  readonly expected: number;
}): Output {
  const { lends, expected } = options;
  const chunkBytes = Math.min(CHUNK_BYTES, Math.max(LEAST_CHUNK_BYTES, 2 * expected));
  return { full: [], spare: [], buffer: new Uint8Array(0), used: 0, before: 0, lends, chunkBytes };
}

/** The offset in the whole output where the next byte goes. */
export function position(output: Output): number {
  return output.before + output.used;
}

/** Adds bytes; where they fill chunks, `drain` gives those away. */
export function append(output: Output, bytes: Uint8Array): void {
  for (let from = 0; from < bytes.byteLength;) {
    if (output.used === output.buffer.byteLength) next(output);
    const length = Math.min(bytes.byteLength - from, output.buffer.byteLength - output.used);
    const part = length === bytes.byteLength ? bytes : bytes.subarray(from, from + length);
    output.buffer.set(part, output.used);
    output.used += length;
    from += length;
  }
}

/** Gives full chunks away. */
export function* drain(output: Output): Generator<Uint8Array, void> {
  for (let chunk = output.full.shift(); chunk !== undefined; chunk = output.full.shift()) {
    yield chunk;
    if (output.lends && output.spare.length < MOST_SPARE) output.spare.push(chunk);
  }
}

/** Gives all that is left away. */
export function* finish(output: Output): Generator<Uint8Array, void> {
  yield* drain(output);
  const { buffer, used } = output;
  output.before += used;
  output.used = 0;
  output.buffer = new Uint8Array(0);
  if (used > 0) yield new Uint8Array(buffer.buffer.transfer(used));
}

/**
 * Gives the memory of bytes that nobody needs any more back at once, not at the next garbage
 * collection, so that the next allocation finds it warm; only where they own it.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0);
}

function next(output: Output): void {
  if (output.used > 0) output.full.push(output.buffer);
  output.before += output.used;
  output.used = 0;
  // Not zeroed: every byte is written before it is given away.
  output.buffer =
    output.spare.pop() ?? new Uint8Array(Buffer.allocUnsafeSlow(output.chunkBytes).buffer);
}
