import { concatBytes, utf8 } from "../base/bytes.ts";

/** What a field of an authenticated list may be: integers are safe and not negative. */
export type Field = string | number | Uint8Array | null;

/**
 * Joins fields into bytes that only this list has: each is a type byte (0 null, 1 text, 2 integer,
 * 3 bytes), then its length as u32 (big-endian), then its content (integers: u64, big-endian).
 * It is what MACs, AADs and HKDF infos of the embedded vault are computed over.
 * @see docs/vault.md section "What is authenticated"
 */
export function encodeFields(...fields: readonly Field[]): Uint8Array {
  return concatBytes(...fields.flatMap(encodeField));
}

function encodeField(field: Field): readonly Uint8Array[] {
  if (field === null) return [head(0, 0)];
  if (typeof field === "string") {
    const bytes = utf8(field);
    return [head(1, bytes.byteLength), bytes];
  }
  if (typeof field === "number") {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(field));
    return [head(2, 8), bytes];
  }
  return [head(3, field.byteLength), field];
}

function head(type: number, length: number): Uint8Array {
  const bytes = new Uint8Array(5);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, type);
  view.setUint32(1, length);
  return bytes;
}
