/**
 * Gives a chunk's memory back at once instead of at the next garbage collection, where the chunk is
 * the whole of its buffer; the chunk is empty afterwards. For chunks that nobody else holds.
 */
export function freeChunk(chunk: Uint8Array): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.byteLength) buffer.transfer(0);
}
