import { PpmlError } from "../../base/error.ts";
import { type ByteRange, checkRange } from "./file-metadata.ts";
import { LIMITS } from "./limits.ts";
import { MODULE, sealModule } from "./module-cipher.ts";
import { drain, position } from "./output.ts";
import {
  checkColumnIndex,
  parseBloomHeader,
  type PagePlaces,
  rewriteOffsetIndex,
} from "./page-index.ts";
import type { ChunkToSeal, SealContext } from "./seal-chunk.ts";

/** Most bytes that a Bloom filter's header takes: it holds one number and three empty unions. */
export const BLOOM_HEADER_BYTES = 256;

/** A chunk whose indexes are sealed after all pages. */
export type IndexedChunk = ChunkToSeal & {
  readonly columnIndex: ByteRange | null;
  readonly offsetIndex: ByteRange | null;
  readonly pages: PagePlaces;
  /** Where the plain source's data ends. */
  readonly dataEnd: number;
};

/** Seals a chunk's column index; null where it has none. @throws format.invalid */
export async function* sealColumnIndex(
  context: SealContext,
  chunk: IndexedChunk,
): AsyncGenerator<Uint8Array, ByteRange | null, void> {
  if (chunk.columnIndex === null) return null;
  const bytes = await readIndex(context, chunk, chunk.columnIndex);
  checkColumnIndex(bytes);
  return yield* sealOne(context, chunk, { type: MODULE.columnIndex, bytes });
}

/** Seals a chunk's offset index for the sealed pages; null where it has none. @throws format.invalid */
export async function* sealOffsetIndex(
  context: SealContext,
  chunk: IndexedChunk,
): AsyncGenerator<Uint8Array, ByteRange | null, void> {
  if (chunk.offsetIndex === null) return null;
  const bytes = await readIndex(context, chunk, chunk.offsetIndex);
  const moved = rewriteOffsetIndex(bytes, chunk.pages);
  return yield* sealOne(context, chunk, { type: MODULE.offsetIndex, bytes: moved });
}

/** Seals a chunk's Bloom filter, header and bitset; null where it has none. @throws format.invalid */
export async function* sealBloomFilter(
  context: SealContext,
  chunk: IndexedChunk,
): AsyncGenerator<Uint8Array, ByteRange | null, void> {
  const filter = chunk.meta.bloomFilter;
  if (filter === null) return null;
  const most = chunk.dataEnd - filter.offset;
  const start = await context.source.read(filter.offset, Math.min(most, BLOOM_HEADER_BYTES));
  const { headerLength, bitsetLength } = parseBloomHeader(start);
  const length = headerLength + bitsetLength;
  if (length > most || (filter.length !== null && filter.length !== length))
    throw new PpmlError("format.invalid", "a Bloom filter is not as long as its header says");
  const header = start.subarray(0, headerLength);
  const bitset = await context.source.read(filter.offset + headerLength, bitsetLength);
  const first = yield* sealOne(context, chunk, { type: MODULE.bloomFilterHeader, bytes: header });
  const second = yield* sealOne(context, chunk, { type: MODULE.bloomFilterBitset, bytes: bitset });
  return { offset: first.offset, length: first.length + second.length };
}

async function readIndex(
  context: SealContext,
  chunk: IndexedChunk,
  range: ByteRange,
): Promise<Uint8Array> {
  checkRange(range, { dataEnd: chunk.dataEnd, what: "a page index" });
  if (range.length > LIMITS.indexBytes)
    throw new PpmlError("format.too_large", `a page index has ${range.length} bytes`);
  return await context.source.read(range.offset, range.length);
}

async function* sealOne(
  context: SealContext,
  chunk: ChunkToSeal,
  module: { readonly type: number; readonly bytes: Uint8Array },
): AsyncGenerator<Uint8Array, ByteRange, void> {
  const { output } = context;
  const offset = position(output);
  const { rowGroup, column } = chunk;
  const aad = context.aad({ type: module.type, rowGroup, column });
  sealModule(chunk.sealer, module.bytes, { output, aad });
  yield* drain(output);
  return { offset, length: position(output) - offset };
}
