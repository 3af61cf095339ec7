import { THRIFT, type ThriftField, type ThriftStruct } from "./thrift.ts";

/**
 * Encodes a struct: fields in ascending order of id, values copied as they stand.
 * @see thrift-compact-protocol.md of Apache Thrift, "Struct Encoding"
 */
export function encodeStruct(fields: ThriftStruct): Uint8Array {
  const ids = [...fields.keys()].sort((a, b) => a - b);
  let length = 1;
  for (const field of fields.values()) length += 4 + field.end - field.start;
  const out = new Uint8Array(length);
  let pos = 0;
  let previous = 0;
  for (const id of ids) {
    const field = fields.get(id);
    if (field === undefined) continue;
    const delta = id - previous;
    if (delta > 0 && delta < 16) {
      out[pos] = (delta << 4) | field.type;
      pos += 1;
    } else {
      out[pos] = field.type;
      pos = writeVarint(out, { at: pos + 1, value: zigzag(id) });
    }
    out.set(field.buffer.subarray(field.start, field.end), pos);
    pos += field.end - field.start;
    previous = id;
  }
  return out.subarray(0, pos + 1); // the stop byte is 0 already
}

/** A copy of `original` with the given fields set, or dropped where null. */
export function withFields(
  original: ThriftStruct,
  changes: Iterable<readonly [id: number, field: ThriftField | null]>,
): ThriftStruct {
  const fields = new Map(original);
  for (const [id, field] of changes) {
    if (field === null) fields.delete(id);
    else fields.set(id, field);
  }
  return fields;
}

/** An i32 value. */
export function i32(value: number): ThriftField {
  return integer(THRIFT.i32, value);
}

/** An i64 value; a safe integer. */
export function i64(value: number): ThriftField {
  return integer(THRIFT.i64, value);
}

/** An i16 value. */
export function i16(value: number): ThriftField {
  return integer(THRIFT.i16, value);
}

/** A binary value. */
export function binary(bytes: Uint8Array): ThriftField {
  const out = new Uint8Array(5 + bytes.byteLength);
  const start = writeVarint(out, { at: 0, value: bytes.byteLength });
  out.set(bytes, start);
  return { type: THRIFT.binary, buffer: out, start: 0, end: start + bytes.byteLength };
}

/** A struct value of these fields. */
export function struct(fields: ThriftStruct): ThriftField {
  const buffer = encodeStruct(fields);
  return { type: THRIFT.struct, buffer, start: 0, end: buffer.byteLength };
}

/** A list value of items of one type. */
export function list(type: number, items: readonly ThriftField[]): ThriftField {
  let length = 6;
  for (const item of items) length += item.end - item.start;
  const out = new Uint8Array(length);
  let pos = 1;
  if (items.length < 15) out[0] = (items.length << 4) | type;
  else {
    out[0] = 0xf0 | type;
    pos = writeVarint(out, { at: 1, value: items.length });
  }
  for (const item of items) {
    out.set(item.buffer.subarray(item.start, item.end), pos);
    pos += item.end - item.start;
  }
  return { type: THRIFT.list, buffer: out, start: 0, end: pos };
}

function integer(type: number, value: number): ThriftField {
  const buffer = new Uint8Array(10);
  const end = writeVarint(buffer, { at: 0, value: zigzag(value) });
  return { type, buffer, start: 0, end };
}

// Exact for |value| < 2^52: offsets and sizes of real files are far below.
function zigzag(value: number): number {
  return value < 0 ? -value * 2 - 1 : value * 2;
}

function writeVarint(out: Uint8Array, what: { at: number; value: number }): number {
  let { at, value } = what;
  for (; value >= 128; at += 1) {
    out[at] = (value % 128) | 128;
    value = Math.floor(value / 128);
  }
  out[at] = value;
  return at + 1;
}
