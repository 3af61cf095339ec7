import { PpmlError } from "../../base/error.ts";
import { LIMITS } from "./limits.ts";
import {
  binaryField,
  intField,
  listField,
  parseStruct,
  parseWholeStruct,
  structField,
  structOf,
  THRIFT,
} from "./thrift.ts";
import { encodeStruct, i32, i64, list, struct, withFields } from "./thrift-writer.ts";

/** Where data page `n` of a chunk now stands: `offsets[n]`, and its bytes with header: `sizes[n]`. */
export type PagePlaces = { readonly offsets: number[]; readonly sizes: number[] };

/**
 * Rewrites an OffsetIndex for pages that moved.
 * @throws format.invalid where it is not of these pages
 * @see parquet.thrift, struct OffsetIndex
 */
export function rewriteOffsetIndex(bytes: Uint8Array, pages: PagePlaces): Uint8Array {
  const fields = parseWholeStruct(bytes);
  const locations = listField(fields, 1, { of: THRIFT.struct, max: LIMITS.ordinals });
  if (locations?.length !== pages.offsets.length)
    throw new PpmlError(
      "format.invalid",
      `an offset index has ${locations?.length ?? 0} pages, its column chunk ${pages.offsets.length}`,
    );
  const items = locations.map((location, page) =>
    struct(
      withFields(structOf(location), [
        [1, i64(pages.offsets[page] ?? 0)],
        [2, i32(pages.sizes[page] ?? 0)],
      ]),
    ),
  );
  return encodeStruct(withFields(fields, [[1, list(THRIFT.struct, items)]]));
}

/**
 * Checks that bytes are a ColumnIndex; it holds no offsets and stays as it is.
 * @throws format.invalid
 */
export function checkColumnIndex(bytes: Uint8Array): void {
  const fields = parseWholeStruct(bytes);
  if (fields.get(2)?.type !== THRIFT.list || fields.get(3)?.type !== THRIFT.list)
    throw new PpmlError("format.invalid", "a column index lacks its bounds");
}

/**
 * Reads a Bloom filter's header at the start of `bytes`.
 * @returns lengths in bytes of the header and of the bitset after it.
 * @throws format.invalid, format.too_large
 * @see parquet.thrift, struct BloomFilterHeader
 */
export function parseBloomHeader(bytes: Uint8Array): {
  readonly headerLength: number;
  readonly bitsetLength: number;
} {
  const { fields, end } = parseStruct(bytes, { start: 0, end: bytes.byteLength });
  const bitsetLength = intField(fields, 1);
  if (bitsetLength === null || bitsetLength < 0 || structField(fields, 2) === null)
    throw new PpmlError("format.invalid", "a Bloom filter's header lacks its size or algorithm");
  if (bitsetLength > LIMITS.indexBytes)
    throw new PpmlError("format.too_large", `a Bloom filter has ${bitsetLength} bytes`);
  return { headerLength: end, bitsetLength };
}

/** Statistics of a column chunk: bounds are in the column's own PLAIN encoding. */
export type ColumnStatistics = {
  readonly min: Uint8Array | null;
  readonly max: Uint8Array | null;
  readonly nulls: number | null;
};

/**
 * Reads the statistics of a ColumnMetaData; the deprecated `min` and `max` are not used.
 * @throws format.invalid
 */
export function parseStatistics(
  chunkMeta: Parameters<typeof structField>[0],
): ColumnStatistics | null {
  const statistics = structField(chunkMeta, 12);
  if (statistics === null) return null;
  return {
    min: binaryField(statistics, 6),
    max: binaryField(statistics, 5),
    nulls: intField(statistics, 3),
  };
}
