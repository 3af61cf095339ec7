import { concatBytes } from "../../base/bytes.ts";
import { encodeFileCrypto } from "./file-crypto.ts";
import type { ByteRange, ChunkEntry, FileMetadata } from "./file-metadata.ts";
import { MODULE, type ModuleAad, type Sealer, sealModuleBytes } from "./module-cipher.ts";
import { structOf, THRIFT, type ThriftField, type ThriftStruct } from "./thrift.ts";
import { utf8 } from "../../base/bytes.ts";
import { binary, encodeStruct, i16, i32, i64, list, struct, withFields } from "./thrift-writer.ts";

/** What the footer says of a chunk whose pages are written. */
export type FooterChunk = {
  readonly entry: ChunkEntry;
  /** ColumnMetaData for the new places, still without a Bloom filter. */
  readonly meta: ThriftField;
  readonly sealer: Sealer;
  readonly columnIndex: ByteRange | null;
  readonly offsetIndex: ByteRange | null;
  readonly bloomFilter: ByteRange | null;
};

/** A row group whose pages stand at `offset`, `length` bytes. */
export type SealedRowGroup<Chunk = FooterChunk> = ByteRange & { readonly chunks: readonly Chunk[] };

/** What the footer needs besides the row groups. */
export type FooterPlan = {
  readonly metadata: FileMetadata;
  /** By leaf: index of its column group, or null for the footer key. */
  readonly plan: readonly (number | null)[];
  readonly columnKeyMetadata: readonly Uint8Array[];
  readonly crypto: { readonly fileUnique: Uint8Array; readonly keyMetadata: Uint8Array };
  readonly seal: { readonly footer: Sealer; readonly aad: ModuleAad };
};

/**
 * Encodes and seals the footer: FileCryptoMetaData | sealed FileMetaData.
 * @see Encryption.md sections 5.3 and 5.4
 */
export function encodeSealedFooter(
  groups: readonly SealedRowGroup[],
  footer: FooterPlan,
): Uint8Array {
  const { metadata, seal } = footer;
  const rowGroups = metadata.rowGroups.map((entry, rowGroup) => {
    const group = groups[rowGroup] ?? { offset: 0, length: 0, chunks: [] };
    const columns = group.chunks.map((chunk) => struct(encodeChunk(chunk, { rowGroup, footer })));
    return struct(
      withFields(structOf(entry.raw), [
        [1, list(THRIFT.struct, columns)],
        [5, i64(group.offset)],
        [6, i64(group.length)],
        [7, i16(rowGroup)],
      ]),
    );
  });
  const bytes = encodeStruct(
    withFields(metadata.fields, [
      [4, list(THRIFT.struct, rowGroups)],
      [8, null],
      [9, null],
    ]),
  );
  return concatBytes(
    encodeFileCrypto(footer.crypto),
    sealModuleBytes(seal.footer, bytes, seal.aad("footer")),
  );
}

function encodeChunk(
  chunk: FooterChunk,
  where: { readonly rowGroup: number; readonly footer: FooterPlan },
): ThriftStruct {
  const { footer, rowGroup } = where;
  const { leaf } = chunk.entry;
  const meta = withBloomFilter(chunk);
  const group = footer.plan[leaf.index] ?? null;
  const protection: [number, ThriftField | null][] =
    group === null
      ? [
          [3, meta],
          [8, struct(new Map([[1, struct(new Map())]]))],
          [9, null],
        ]
      : [
          // 5.4: in place metadata "is not set for columns encrypted with a column-specific key".
          [3, null],
          [8, columnKey(leaf.path, footer.columnKeyMetadata[group] ?? new Uint8Array(0))],
          [9, binary(sealMeta(meta))],
        ];
  function sealMeta(plain: ThriftField): Uint8Array {
    const place = { type: MODULE.columnMetadata, rowGroup, column: leaf.index };
    const bytes = plain.buffer.subarray(plain.start, plain.end);
    return sealModuleBytes(chunk.sealer, bytes, footer.seal.aad(place));
  }
  return withFields(structOf(chunk.entry.raw), [
    [2, i64(0)],
    ...protection,
    ...placeFields(4, chunk.offsetIndex),
    ...placeFields(6, chunk.columnIndex),
  ]);
}

function withBloomFilter(chunk: FooterChunk): ThriftField {
  const { meta, bloomFilter } = chunk;
  if (bloomFilter === null) return meta;
  return struct(withFields(structOf(meta), placeFields(14, bloomFilter)));
}

/** The fields that say where an index or a Bloom filter is: offset `id`, length `id + 1`. */
export function placeFields(
  id: number,
  range: ByteRange | null,
): readonly (readonly [number, ThriftField | null])[] {
  return [
    [id, range === null ? null : i64(range.offset)],
    [id + 1, range === null ? null : i32(range.length)],
  ];
}

function columnKey(path: readonly string[], keyMetadata: Uint8Array): ThriftField {
  const names = path.map((name) => binary(utf8(name)));
  const fields = new Map([
    [1, list(THRIFT.binary, names)],
    [2, binary(keyMetadata)],
  ]);
  return struct(new Map([[2, struct(fields)]]));
}
