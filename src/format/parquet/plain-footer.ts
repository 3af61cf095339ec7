import { utf8 } from "../../base/bytes.ts";
import { encodeFileEnd, MAGIC_PLAIN } from "./file-crypto.ts";
import type { ByteRange, FileMetadata, RowGroupEntry } from "./file-metadata.ts";
import type { SchemaLeaf } from "./schema.ts";
import { structOf, THRIFT, type ThriftField } from "./thrift.ts";
import { binary, encodeStruct, i16, i32, i64, list, struct, withFields } from "./thrift-writer.ts";

/**
 * What stands at offset 4 of every plain file that we write: bytes that are no page header, since
 * 15 is no thrift type. Columns that were not opened point there: touching one fails.
 */
export const NO_PAGE: Uint8Array = new Uint8Array(64).fill(0xff);
/** Offset of `NO_PAGE`. */
export const NO_PAGE_OFFSET = 4;

/** A row group of a plain file, with one ColumnChunk struct a column. */
export type PlainRowGroup = ByteRange & {
  readonly entry: RowGroupEntry;
  readonly columns: readonly ThriftField[];
};

/** Encodes a plain file's footer, its length and magic. */
export function encodePlainEnd(
  metadata: FileMetadata,
  groups: readonly PlainRowGroup[],
): Uint8Array {
  let rows = 0;
  const items = groups.map((group, index) => {
    rows += group.entry.rows;
    return struct(
      withFields(structOf(group.entry.raw), [
        [1, list(THRIFT.struct, group.columns)],
        [5, i64(group.offset)],
        [6, i64(group.length)],
        [7, i16(index)],
      ]),
    );
  });
  const footer = encodeStruct(
    withFields(metadata.fields, [
      [3, i64(rows)],
      [4, list(THRIFT.struct, items)],
      [8, null],
      [9, null],
    ]),
  );
  return encodeFileEnd(footer, MAGIC_PLAIN);
}

/** A ColumnChunk whose pages were not opened: valid, without statistics, pointing at no page. */
export function closedColumn(leaf: SchemaLeaf, rows: number): ThriftField {
  const path = leaf.path.map((name) => binary(utf8(name)));
  const meta = new Map([
    [1, i32(leaf.physicalTypeNumber)],
    [2, list(THRIFT.i32, [i32(0)])],
    [3, list(THRIFT.binary, path)],
    [4, i32(0)],
    [5, i64(rows)],
    [6, i64(NO_PAGE.byteLength)],
    [7, i64(NO_PAGE.byteLength)],
    [9, i64(NO_PAGE_OFFSET)],
  ]);
  return plainColumn(new Map(), struct(meta));
}

/** A ColumnChunk in the clear, from what is known of it and its ColumnMetaData. */
export function plainColumn(
  known: ReadonlyMap<number, ThriftField>,
  meta: ThriftField,
): ThriftField {
  const changes = [2, 8, 9].map((id) => [id, id === 2 ? i64(0) : null] as const);
  return struct(withFields(known, [...changes, [3, meta]]));
}
