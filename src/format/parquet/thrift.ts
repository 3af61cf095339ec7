import { PpmlError } from "../../base/error.ts";
import { LIMITS } from "./limits.ts";

/** Type codes of the thrift compact protocol. @see thrift-compact-protocol.md of Apache Thrift */
export const THRIFT = {
  true: 1,
  false: 2,
  i8: 3,
  i16: 4,
  i32: 5,
  i64: 6,
  double: 7,
  binary: 8,
  list: 9,
  set: 10,
  map: 11,
  struct: 12,
  uuid: 13,
} as const;

/**
 * One value as it stands in the bytes: `buffer[start, end)` without its field header.
 * A boolean field's value is its type, its range is empty. Unread values stay as they are, so
 * what this version does not know survives a rewrite byte for byte.
 */
export type ThriftField = {
  readonly type: number;
  readonly buffer: Uint8Array;
  readonly start: number;
  readonly end: number;
};

/** The fields of one struct by id. */
export type ThriftStruct = ReadonlyMap<number, ThriftField>;

type Cursor = { readonly buffer: Uint8Array; pos: number; readonly end: number };

/**
 * Parses the struct at `start`; nested values are checked to be well formed, not decoded.
 * @param range `end` bounds the bytes that may be read.
 * @returns the fields and the offset after the struct's stop byte.
 * @throws format.invalid; `detail.truncated` is true where more bytes might have made it valid.
 */
export function parseStruct(
  buffer: Uint8Array,
  range: { readonly start: number; readonly end: number },
): { readonly fields: ThriftStruct; readonly end: number } {
  const cursor: Cursor = { buffer, pos: range.start, end: range.end };
  const fields = new Map<number, ThriftField>();
  for (let id = 0; ;) {
    const header = byte(cursor);
    if (header === 0) return { fields, end: cursor.pos };
    id = fieldId(cursor, { header, previous: id });
    // Readers disagree on which of two equal ids counts: refuse rather than differ.
    if (fields.has(id)) throw invalid(`field ${id} comes twice in a struct`);
    const type = header & 15;
    const start = cursor.pos;
    skip(cursor, { type, depth: 1, inList: false });
    fields.set(id, { type, buffer, start, end: cursor.pos });
  }
}

/**
 * Parses a struct that must fill `bytes` wholly.
 * @throws format.invalid
 */
export function parseWholeStruct(bytes: Uint8Array): ThriftStruct {
  const { fields, end } = parseStruct(bytes, { start: 0, end: bytes.byteLength });
  if (end !== bytes.byteLength)
    throw invalid(`${bytes.byteLength - end} bytes follow where a struct should end`);
  return fields;
}

/** The bytes of a value as they stand. */
export function rawBytes(field: ThriftField): Uint8Array {
  return field.buffer.subarray(field.start, field.end);
}

/**
 * An i8 to i64 field as a number, or null where it is absent.
 * @throws format.invalid where it is of another type or not a safe integer.
 */
export function intField(struct: ThriftStruct, id: number): number | null {
  const field = struct.get(id);
  return field === undefined ? null : intOf(field);
}

/** An integer value as a number. @throws format.invalid */
export function intOf(field: ThriftField): number {
  if (field.type === THRIFT.i8)
    return new DataView(field.buffer.buffer, field.buffer.byteOffset + field.start, 1).getInt8(0);
  if (field.type !== THRIFT.i16 && field.type !== THRIFT.i32 && field.type !== THRIFT.i64)
    throw invalid(`expected an integer, found thrift type ${field.type}`);
  const raw = varint({ buffer: field.buffer, pos: field.start, end: field.end });
  return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
}

/** A boolean field, or null where it is absent. @throws format.invalid */
export function boolField(struct: ThriftStruct, id: number): boolean | null {
  const type = struct.get(id)?.type;
  if (type === undefined) return null;
  if (type !== THRIFT.true && type !== THRIFT.false)
    throw invalid(`expected a boolean, found thrift type ${type}`);
  return type === THRIFT.true;
}

/** A binary or string field as a view, or null where it is absent. @throws format.invalid */
export function binaryField(struct: ThriftStruct, id: number): Uint8Array | null {
  const field = struct.get(id);
  return field === undefined ? null : binaryOf(field);
}

/** A binary or string value as a view. @throws format.invalid */
export function binaryOf(field: ThriftField): Uint8Array {
  if (field.type !== THRIFT.binary)
    throw invalid(`expected binary, found thrift type ${field.type}`);
  const cursor: Cursor = { buffer: field.buffer, pos: field.start, end: field.end };
  const length = varint(cursor);
  return field.buffer.subarray(cursor.pos, cursor.pos + length);
}

/** A struct field's own fields, or null where it is absent. @throws format.invalid */
export function structField(struct: ThriftStruct, id: number): ThriftStruct | null {
  const field = struct.get(id);
  return field === undefined ? null : structOf(field);
}

/** A struct value's fields. @throws format.invalid */
export function structOf(field: ThriftField): ThriftStruct {
  if (field.type !== THRIFT.struct)
    throw invalid(`expected a struct, found thrift type ${field.type}`);
  return parseStruct(field.buffer, field).fields;
}

/**
 * The items of a list field, or null where it is absent.
 * @param shape `max` bounds the number of items.
 * @throws format.invalid, format.too_large
 */
export function listField(
  struct: ThriftStruct,
  id: number,
  shape: { readonly of: number; readonly max: number },
): ThriftField[] | null {
  const field = struct.get(id);
  if (field === undefined) return null;
  if (field.type !== THRIFT.list) throw invalid(`expected a list, found thrift type ${field.type}`);
  const cursor: Cursor = { buffer: field.buffer, pos: field.start, end: field.end };
  const { count, type } = listHeader(cursor);
  if (count > shape.max)
    throw new PpmlError("format.too_large", `a list has ${count} items, at most ${shape.max} fit`);
  if (count > 0 && type !== shape.of)
    throw invalid(`expected a list of thrift type ${shape.of}, found ${type}`);
  const items: ThriftField[] = [];
  for (let index = 0; index < count; index += 1) {
    const start = cursor.pos;
    skip(cursor, { type, depth: 1, inList: true });
    items.push({ type, buffer: field.buffer, start, end: cursor.pos });
  }
  return items;
}

function listHeader(cursor: Cursor): { readonly count: number; readonly type: number } {
  const header = byte(cursor);
  const count = header >> 4 === 15 ? varint(cursor) : header >> 4;
  // Every item takes a byte at least: a count over what is left is a bomb or a cut.
  if (count > cursor.end - cursor.pos) throw truncated();
  return { count, type: header & 15 };
}

function fieldId(cursor: Cursor, at: { header: number; previous: number }): number {
  const delta = at.header >> 4;
  if (delta !== 0) return checkId(at.previous + delta);
  const raw = varint(cursor);
  return checkId(raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2);
}

function checkId(id: number): number {
  if (id < -32_768 || id > 32_767) throw invalid(`field id ${id} is not an i16`);
  return id;
}

function skip(cursor: Cursor, what: { type: number; depth: number; inList: boolean }): void {
  if (what.depth > LIMITS.thriftDepth)
    throw invalid(`structs are nested over ${LIMITS.thriftDepth} deep`);
  switch (what.type) {
    case THRIFT.true:
    case THRIFT.false:
      return what.inList ? advance(cursor, 1) : undefined;
    case THRIFT.i8:
      return advance(cursor, 1);
    case THRIFT.i16:
    case THRIFT.i32:
    case THRIFT.i64:
      return skipVarint(cursor);
    case THRIFT.double:
      return advance(cursor, 8);
    case THRIFT.uuid:
      return advance(cursor, 16);
    case THRIFT.binary:
      return advance(cursor, varint(cursor));
    case THRIFT.list:
    case THRIFT.set:
      return skipList(cursor, what.depth);
    case THRIFT.map:
      return skipMap(cursor, what.depth);
    case THRIFT.struct:
      return skipStruct(cursor, what.depth);
    default:
      throw invalid(`${what.type} is no thrift type`);
  }
}

function skipStruct(cursor: Cursor, depth: number): void {
  for (let id = 0; ;) {
    const header = byte(cursor);
    if (header === 0) return;
    id = fieldId(cursor, { header, previous: id });
    skip(cursor, { type: header & 15, depth: depth + 1, inList: false });
  }
}

function skipList(cursor: Cursor, depth: number): void {
  const { count, type } = listHeader(cursor);
  for (let index = 0; index < count; index += 1)
    skip(cursor, { type, depth: depth + 1, inList: true });
}

function skipMap(cursor: Cursor, depth: number): void {
  const count = varint(cursor);
  if (count === 0) return;
  if (count > cursor.end - cursor.pos) throw truncated();
  const types = byte(cursor);
  for (let index = 0; index < count; index += 1) {
    skip(cursor, { type: types >> 4, depth: depth + 1, inList: true });
    skip(cursor, { type: types & 15, depth: depth + 1, inList: true });
  }
}

function byte(cursor: Cursor): number {
  const value = cursor.pos < cursor.end ? cursor.buffer[cursor.pos] : undefined;
  if (value === undefined) throw truncated();
  cursor.pos += 1;
  return value;
}

function advance(cursor: Cursor, length: number): void {
  if (length > cursor.end - cursor.pos) throw truncated();
  cursor.pos += length;
}

function skipVarint(cursor: Cursor): void {
  for (let count = 0; count < 10; count += 1) if (byte(cursor) < 128) return;
  throw invalid("an integer is longer than 10 bytes");
}

function varint(cursor: Cursor): number {
  let value = 0;
  for (let scale = 1, count = 0; count < 10; count += 1, scale *= 128) {
    const next = byte(cursor);
    value += (next & 127) * scale;
    if (next >= 128) continue;
    if (value > Number.MAX_SAFE_INTEGER) throw invalid("an integer is over 2^53");
    return value;
  }
  throw invalid("an integer is longer than 10 bytes");
}

function truncated(): PpmlError {
  return new PpmlError("format.invalid", "the Parquet metadata ends inside a value", {
    detail: { truncated: true },
  });
}

function invalid(what: string): PpmlError {
  return new PpmlError("format.invalid", `not valid Parquet metadata: ${what}`);
}
