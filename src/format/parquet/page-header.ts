import { PpmlError } from "../../base/error.ts";
import { LIMITS } from "./limits.ts";
import {
  intField,
  parseStruct,
  structField,
  type ThriftField,
  type ThriftStruct,
} from "./thrift.ts";
import { encodeStruct, i32, withFields } from "./thrift-writer.ts";

/** A parsed PageHeader. @see parquet.thrift, struct PageHeader */
export type PageHeader = {
  readonly fields: ThriftStruct;
  /** The whole struct as it stands. */
  readonly raw: Omit<ThriftField, "type">;
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
  const raw = { buffer, start: range.start, end };
  return { header: { fields, raw, kind: kindOf(type, fields), size }, end };
}

/** Encodes a page header for a page that now has `size` bytes; the CRC of the old bytes goes. */
export function encodePageHeader(header: PageHeader, size: number): Uint8Array {
  const { fields, raw } = header;
  const old = fields.get(3);
  if (old === undefined || fields.has(4))
    return encodeStruct(
      withFields(fields, [
        [3, i32(size)],
        [4, null],
      ]),
    );
  // There are thousands of pages: without a CRC, only the size's own bytes change.
  const value = i32(size);
  const before = old.start - raw.start;
  const out = new Uint8Array(before + value.end + raw.end - old.end);
  out.set(raw.buffer.subarray(raw.start, old.start));
  out.set(value.buffer.subarray(0, value.end), before);
  out.set(raw.buffer.subarray(old.end, raw.end), before + value.end);
  return out;
}

function kindOf(type: number, fields: ThriftStruct): "data" | "dictionary" {
  if (type === 2) return "dictionary";
  if (type === 0 && structField(fields, 5) !== null) return "data";
  if (type === 3 && structField(fields, 8) !== null) return "data";
  if (type === 1)
    throw new PpmlError("format.unsupported", "index pages are not part of any known writer");
  throw new PpmlError("format.invalid", `a page header of type ${type} lacks that type's fields`);
}
