import { PpmlError } from "../../base/error.ts";
import { LIMITS } from "./limits.ts";
import { intField, parseStruct, structField, type ThriftStruct } from "./thrift.ts";
import { encodeStruct, i32, withFields } from "./thrift-writer.ts";

/** A parsed PageHeader. @see parquet.thrift, struct PageHeader */
export type PageHeader = {
  readonly fields: ThriftStruct;
  readonly kind: "data" | "dictionary";
  /** Bytes of the page after its header, as they stand in the file. */
  readonly size: number;
};

/**
 * Parses the page header at `range.start`.
 * @returns the header and the offset after it.
 * @throws format.invalid (`detail.truncated` where more bytes may help), format.unsupported,
 * format.too_large
 */
export function parsePageHeader(
  buffer: Uint8Array,
  range: { readonly start: number; readonly end: number },
): { readonly header: PageHeader; readonly end: number } {
  const { fields, end } = parseStruct(buffer, range);
  const type = intField(fields, 1);
  const size = intField(fields, 3);
  if (type === null || size === null || size < 0)
    throw new PpmlError("format.invalid", "a page header lacks its type or size");
  if (size > LIMITS.pageBytes)
    throw new PpmlError(
      "format.too_large",
      `a page has ${size} bytes, at most ${LIMITS.pageBytes} fit: write smaller pages`,
    );
  return { header: { fields, kind: kindOf(type, fields), size }, end };
}

/** Encodes a page header for a page that now has `size` bytes; the CRC of the old bytes goes. */
export function encodePageHeader(header: PageHeader, size: number): Uint8Array {
  return encodeStruct(
    withFields(header.fields, [
      [3, i32(size)],
      [4, null],
    ]),
  );
}

function kindOf(type: number, fields: ThriftStruct): "data" | "dictionary" {
  if (type === 2) return "dictionary";
  if (type === 0 && structField(fields, 5) !== null) return "data";
  if (type === 3 && structField(fields, 8) !== null) return "data";
  if (type === 1)
    throw new PpmlError("format.unsupported", "index pages are not part of any known writer");
  throw new PpmlError("format.invalid", `a page header of type ${type} lacks that type's fields`);
}
