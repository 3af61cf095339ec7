import { fromUtf8 } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import { LIMITS } from "./limits.ts";
import { parseSchema, type Schema, type SchemaLeaf } from "./schema.ts";
import {
  binaryField,
  binaryOf,
  intField,
  listField,
  parseWholeStruct,
  structField,
  structOf,
  THRIFT,
  type ThriftField,
  type ThriftStruct,
} from "./thrift.ts";

/** A run of bytes of the file. */
export type ByteRange = { readonly offset: number; readonly length: number };

/** What ColumnMetaData says of a column chunk; offsets are in its own file. */
export type ChunkMeta = {
  /** The whole struct as it stands, statistics included. */
  readonly raw: ThriftField;
  readonly codec: number;
  readonly values: number;
  /** All pages, the dictionary page included. */
  readonly pages: ByteRange;
  /** True where the first page is a dictionary page. */
  readonly hasDictionary: boolean;
  /** Length is null where the writer left it out. */
  readonly bloomFilter: { readonly offset: number; readonly length: number | null } | null;
};

/** Which key a column chunk is under. @see parquet.thrift, union ColumnCryptoMetaData */
export type ChunkProtection =
  | { readonly kind: "none" }
  | { readonly kind: "footer-key" }
  | { readonly kind: "column-key"; readonly keyMetadata: Uint8Array | null };

/** One ColumnChunk of the footer. */
export type ChunkEntry = {
  /** The whole struct as it stands; parsed again when it is rewritten, to keep large footers small. */
  readonly raw: ThriftField;
  readonly leaf: SchemaLeaf;
  readonly protection: ChunkProtection;
  readonly columnIndex: ByteRange | null;
  readonly offsetIndex: ByteRange | null;
  /** ColumnMetaData in place; null where only the encrypted one is there. */
  readonly meta: ThriftField | null;
  readonly encryptedMeta: Uint8Array | null;
};

/** One RowGroup of the footer. */
export type RowGroupEntry = {
  /** The whole struct as it stands. */
  readonly raw: ThriftField;
  /** The number that the AADs of its modules hold. */
  readonly ordinal: number;
  readonly rows: number;
  readonly chunks: readonly ChunkEntry[];
};

/** A parsed FileMetaData. */
export type FileMetadata = {
  readonly fields: ThriftStruct;
  readonly schema: Schema;
  readonly rows: number;
  readonly createdBy: string | null;
  readonly rowGroups: readonly RowGroupEntry[];
};

/**
 * Parses a FileMetaData that fills `bytes`.
 * @throws format.invalid, format.too_large, format.unsupported (a chunk in another file)
 * @see parquet.thrift, struct FileMetaData
 */
export function parseFileMetadata(bytes: Uint8Array): FileMetadata {
  return readFileMetadata(parseWholeStruct(bytes));
}

/** As `parseFileMetadata`, from the struct's fields. */
export function readFileMetadata(fields: ThriftStruct): FileMetadata {
  const elements = listField(fields, 2, { of: THRIFT.struct, max: LIMITS.schemaElements });
  const groups = listField(fields, 4, { of: THRIFT.struct, max: LIMITS.ordinals });
  if (elements === null || groups === null) throw invalid("it has no schema or no row groups");
  const schema = parseSchema(elements);
  const createdBy = binaryField(fields, 6);
  return {
    fields,
    schema,
    rows: count(fields, { id: 3, of: "FileMetaData.num_rows" }),
    createdBy: createdBy === null ? null : text(createdBy),
    rowGroups: groups.map((group, index) => parseRowGroup(group, { index, schema })),
  };
}

/**
 * Reads a ColumnMetaData and checks that it is of column `leaf`.
 * @param dataEnd the offset where data ends and the footer begins.
 * @throws format.invalid
 */
export function parseChunkMeta(
  raw: ThriftField,
  where: { readonly leaf: SchemaLeaf; readonly dataEnd: number },
): ChunkMeta {
  const { leaf, dataEnd } = where;
  const fields = structOf(raw);
  if (intField(fields, 1) !== leaf.physicalTypeNumber)
    throw invalid(`column ${leaf.dotted} has another physical type than the schema`);
  checkPath(fields, { id: 3, leaf });
  const dataOffset = count(fields, { id: 9, of: "ColumnMetaData.data_page_offset" });
  const length = count(fields, { id: 7, of: "ColumnMetaData.total_compressed_size" });
  const dictionary = intField(fields, 11) ?? 0;
  // Some writers put 0 or the data page's offset where there is no dictionary page.
  const hasDictionary = dictionary > 0 && dictionary < dataOffset;
  const offset = hasDictionary ? dictionary : dataOffset;
  if (length > 0) checkRange({ offset, length }, { dataEnd, what: `column ${leaf.dotted}` });
  const bloomOffset = intField(fields, 14);
  const bloomLength = intField(fields, 15);
  const bloomFilter =
    bloomOffset === null
      ? null
      : { offset: bloomOffset, length: bloomLength === 0 ? null : bloomLength };
  if (bloomFilter !== null)
    checkRange(
      { offset: bloomFilter.offset, length: bloomFilter.length ?? 1 },
      { dataEnd, what: `the Bloom filter of column ${leaf.dotted}` },
    );
  return {
    raw,
    codec: count(fields, { id: 4, of: "ColumnMetaData.codec" }),
    values: count(fields, { id: 5, of: "ColumnMetaData.num_values" }),
    pages: { offset, length },
    hasDictionary,
    bloomFilter,
  };
}

/** Checks that a range lies between the leading magic and `dataEnd`. @throws format.invalid */
export function checkRange(
  range: ByteRange,
  where: { readonly dataEnd: number; readonly what: string },
): void {
  const { offset, length } = range;
  if (offset < 4 || length < 0 || offset > where.dataEnd || length > where.dataEnd - offset)
    throw invalid(
      `${where.what} lies at ${offset}, ${length} bytes, outside the file's ${where.dataEnd} bytes of data`,
    );
}

/**
 * Checks that chunks and indexes together are not longer than the data, so that no footer makes
 * a reader write more than the file holds.
 * @throws format.invalid
 */
export function checkTotal(
  chunks: Iterable<{ readonly entry: ChunkEntry; readonly meta: ChunkMeta | null }>,
  dataEnd: number,
): void {
  let total = 0;
  for (const { entry, meta } of chunks) {
    total += (entry.columnIndex?.length ?? 0) + (entry.offsetIndex?.length ?? 0);
    total += (meta?.pages.length ?? 0) + (meta?.bloomFilter?.length ?? 0);
  }
  if (total > dataEnd)
    throw invalid(`its column chunks are ${total} bytes together in a file of ${dataEnd}`);
}

function parseRowGroup(
  item: ThriftField,
  where: { readonly index: number; readonly schema: Schema },
): RowGroupEntry {
  const fields = structOf(item);
  const { leaves } = where.schema;
  const columns = listField(fields, 1, { of: THRIFT.struct, max: leaves.length });
  if (columns?.length !== leaves.length)
    throw invalid(
      `row group ${where.index} has ${columns?.length ?? 0} columns, the schema ${leaves.length}`,
    );
  const ordinal = intField(fields, 7) ?? where.index;
  if (ordinal < 0 || ordinal >= LIMITS.ordinals)
    throw invalid(`row group ${where.index} says that it is number ${ordinal}`);
  const chunks: ChunkEntry[] = [];
  for (const leaf of leaves) {
    const column = columns[leaf.index];
    if (column !== undefined) chunks.push(parseChunkEntry(column, leaf));
  }
  return { raw: item, ordinal, rows: count(fields, { id: 3, of: "RowGroup.num_rows" }), chunks };
}

function parseChunkEntry(raw: ThriftField, leaf: SchemaLeaf): ChunkEntry {
  const fields = structOf(raw);
  if ((binaryField(fields, 1)?.byteLength ?? 0) > 0)
    throw new PpmlError(
      "format.unsupported",
      `column ${leaf.dotted} is stored in another file: write the table as whole files`,
    );
  const meta = fields.get(3) ?? null;
  const encryptedMeta = binaryField(fields, 9);
  if (meta === null && encryptedMeta === null)
    throw invalid(`column ${leaf.dotted} has no metadata`);
  return {
    raw,
    leaf,
    meta,
    encryptedMeta,
    protection: parseProtection(structField(fields, 8), leaf),
    columnIndex: indexRange(fields, 6),
    offsetIndex: indexRange(fields, 4),
  };
}

function parseProtection(crypto: ThriftStruct | null, leaf: SchemaLeaf): ChunkProtection {
  if (crypto === null) return { kind: "none" };
  const columnKey = structField(crypto, 2);
  if (crypto.size !== 1 || (columnKey === null && structField(crypto, 1) === null))
    throw invalid(`column ${leaf.dotted} has crypto metadata of an unknown kind`);
  if (columnKey === null) return { kind: "footer-key" };
  checkPath(columnKey, { id: 1, leaf });
  const keyMetadata = binaryField(columnKey, 2);
  checkKeyMetadata(keyMetadata);
  return { kind: "column-key", keyMetadata };
}

/** Bounds key metadata. @throws format.too_large */
export function checkKeyMetadata(keyMetadata: Uint8Array | null): void {
  if (keyMetadata !== null && keyMetadata.byteLength > LIMITS.keyMetadataBytes)
    throw new PpmlError(
      "format.too_large",
      `a key metadata has ${keyMetadata.byteLength} bytes, at most ${LIMITS.keyMetadataBytes} fit`,
    );
}

function indexRange(fields: ThriftStruct, id: number): ByteRange | null {
  const offset = intField(fields, id);
  const length = intField(fields, id + 1);
  if (offset === null || length === null || length === 0) return null;
  if (length < 0 || offset < 0) throw invalid("a page index lies at a negative place");
  return { offset, length };
}

function checkPath(
  fields: ThriftStruct,
  where: { readonly id: number; readonly leaf: SchemaLeaf },
): void {
  const { leaf } = where;
  const path = listField(fields, where.id, { of: THRIFT.binary, max: LIMITS.schemaDepth });
  const matches =
    path?.length === leaf.path.length &&
    path.every((part, index) => text(binaryOf(part)) === leaf.path[index]);
  if (!matches) throw invalid(`the metadata of column ${leaf.dotted} is that of another column`);
}

function count(fields: ThriftStruct, field: { readonly id: number; readonly of: string }): number {
  const value = intField(fields, field.id);
  if (value === null || value < 0)
    throw invalid(`expected a count in ${field.of}, found ${value ?? "nothing"}`);
  return value;
}

function text(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new PpmlError("format.invalid", "a name in the Parquet footer is not UTF-8", { cause });
  }
}

function invalid(what: string): PpmlError {
  return new PpmlError("format.invalid", `the Parquet footer is not valid: ${what}`);
}
