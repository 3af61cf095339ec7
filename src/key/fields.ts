import { utf8 } from "../base/bytes.ts";

/** What a field of an authenticated list may be: integers are safe and not negative. */
export type Field = string | number | Uint8Array | null;

/**
 * Joins fields into bytes that only this list has: each is a type byte (0 null, 1 text, 2 integer,
 * 3 bytes), then its length as u32 (big-endian), then its content (integers: u64, big-endian).
 * It is what MACs, AADs and HKDF infos of the embedded vault are computed over.
 * @see docs/vault.md section "What is authenticated"
 */
export function encodeFields(...fields: readonly Field[]): Uint8Array {
  const contents = fields.map(contentOf);
  const size = contents.reduce((sum, { bytes }) => sum + 5 + bytes.byteLength, 0);
  const encoded = new Uint8Array(size);
  const view = new DataView(encoded.buffer);
  let offset = 0;
  for (const { type, bytes } of contents) {
    view.setUint8(offset, type);
    view.setUint32(offset + 1, bytes.byteLength);
    encoded.set(bytes, offset + 5);
    offset += 5 + bytes.byteLength;
  }
  return encoded;
}

function contentOf(field: Field): { readonly type: number; readonly bytes: Uint8Array } {
  if (field === null) return { type: 0, bytes: new Uint8Array(0) };
  if (typeof field === "string") return { type: 1, bytes: utf8(field) };
  if (typeof field !== "number") return { type: 3, bytes: field };
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(field));
  return { type: 2, bytes };
}
