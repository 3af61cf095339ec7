import type { ByteSource } from "../../base/byte-source.ts";
import { concatBytes } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import { type ByteRange, checkRange } from "./file-metadata.ts";
import { LIMITS } from "./limits.ts";
import { GCM_OVERHEAD, MODULE, notAuthentic, openModule, readU32 } from "./module-cipher.ts";
import type { ChunkToOpen, OpenContext } from "./open-chunk.ts";
import {
  checkColumnIndex,
  parseBloomHeader,
  type PagePlaces,
  rewriteOffsetIndex,
} from "./page-index.ts";
import { BLOOM_HEADER_BYTES } from "./seal-index.ts";

/** A chunk whose indexes are opened after all pages; `dataEnd` is where the footer begins. */
export type IndexToOpen = ChunkToOpen & { readonly dataEnd: number };

/** Opens a chunk's column index. @throws open.not_authentic, format.invalid, format.too_large */
export async function openColumnIndex(
  context: OpenContext,
  chunk: IndexToOpen,
  range: ByteRange,
): Promise<Uint8Array> {
  const bytes = await openIndex(context, chunk, { range, type: MODULE.columnIndex });
  checkColumnIndex(bytes);
  return bytes;
}

/**
 * Opens a chunk's offset index and rewrites it for the opened pages.
 * @throws open.not_authentic, format.invalid, format.too_large
 */
export async function openOffsetIndex(
  context: OpenContext,
  chunk: IndexToOpen,
  from: { readonly range: ByteRange; readonly pages: PagePlaces },
): Promise<Uint8Array> {
  const bytes = await openIndex(context, chunk, { range: from.range, type: MODULE.offsetIndex });
  return rewriteOffsetIndex(bytes, from.pages);
}

/**
 * Opens a chunk's Bloom filter: header and bitset, as they stand in a plain file.
 * @throws open.not_authentic, format.invalid, format.too_large
 */
export async function openBloomFilter(
  context: OpenContext,
  chunk: IndexToOpen,
): Promise<Uint8Array | null> {
  const filter = chunk.meta.bloomFilter;
  if (filter === null) return null;
  const { key, rowGroup, column, dataEnd } = chunk;
  const { source } = context;
  const most = Math.min(filter.length ?? dataEnd, dataEnd - filter.offset);
  if (key === null) return await readPlainBloom(source, { offset: filter.offset, most });
  const first = await readModule(source, { offset: filter.offset, most });
  const headPlace = { type: MODULE.bloomFilterHeader, rowGroup, column };
  const header = openModule(key, first, context.aad(headPlace));
  const { headerLength, bitsetLength } = parseBloomHeader(header);
  const second = await readModule(source, {
    offset: filter.offset + first.byteLength,
    most: most - first.byteLength,
  });
  if (headerLength !== header.byteLength || second.byteLength !== bitsetLength + GCM_OVERHEAD)
    throw notAuthentic();
  const bitsetPlace = { type: MODULE.bloomFilterBitset, rowGroup, column };
  return concatBytes(header, openModule(key, second, context.aad(bitsetPlace)));
}

async function readPlainBloom(
  source: ByteSource,
  where: { readonly offset: number; readonly most: number },
): Promise<Uint8Array> {
  const start = await source.read(where.offset, Math.min(where.most, BLOOM_HEADER_BYTES));
  const { headerLength, bitsetLength } = parseBloomHeader(start);
  const length = headerLength + bitsetLength;
  if (length > where.most)
    throw new PpmlError("format.invalid", "a Bloom filter is not as long as its header says");
  return await source.read(where.offset, length);
}

async function readModule(
  source: ByteSource,
  where: { readonly offset: number; readonly most: number },
): Promise<Uint8Array> {
  const most = Math.min(where.most, LIMITS.indexBytes + GCM_OVERHEAD);
  if (most < GCM_OVERHEAD) throw notAuthentic();
  const length = 4 + readU32(await source.read(where.offset, 4), 0);
  if (length > most) throw notAuthentic();
  return await source.read(where.offset, length);
}

async function openIndex(
  context: OpenContext,
  chunk: IndexToOpen,
  index: { readonly range: ByteRange; readonly type: number },
): Promise<Uint8Array> {
  const { offset, length } = index.range;
  checkRange(index.range, { dataEnd: chunk.dataEnd, what: "a page index" });
  if (length > LIMITS.indexBytes)
    throw new PpmlError("format.too_large", `a page index has ${length} bytes`);
  const bytes = await context.source.read(offset, length);
  if (chunk.key === null) return bytes;
  const place = { type: index.type, rowGroup: chunk.rowGroup, column: chunk.column };
  return openModule(chunk.key, bytes, context.aad(place));
}
