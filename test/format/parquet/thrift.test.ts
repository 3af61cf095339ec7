import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromHex } from "../../../src/base/bytes.ts";
import { isPpmlError } from "../../../src/base/error.ts";
import {
  binaryField,
  boolField,
  intField,
  listField,
  parseStruct,
  parseWholeStruct,
  rawBytes,
  structField,
  THRIFT,
  type ThriftField,
} from "../../../src/format/parquet/thrift.ts";
import {
  binary,
  encodeStruct,
  i32,
  i64,
  list,
  struct,
  withFields,
} from "../../../src/format/parquet/thrift-writer.ts";

const bytesOf = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes);
const invalid = (bytes: Uint8Array): void =>
  assert.throws(
    () => parseWholeStruct(bytes),
    (error) => isPpmlError(error, "format.invalid"),
  );

test("every type of the compact protocol is kept byte for byte", () => {
  // Fields 1 to 13, each of another type: values from the protocol's own description.
  const bytes = fromHex(
    "111213ff1401150216ff01" + // both booleans, i8, i16, i32, i64
      "1701020304050607081803616263" + // double, binary
      "192101021a15041b018501610" + // list of booleans, set, map
      "21b001c15020" + // empty map, struct
      "01d0102030405060708090a0b0c0d0e0f1008d00f017a00", // uuid, field 1000 by its long form
  );
  const fields = parseWholeStruct(bytes);
  assert.deepEqual([...fields.keys()], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 1000]);
  assert.equal(boolField(fields, 1), true);
  assert.equal(boolField(fields, 2), false);
  assert.deepEqual(
    [3, 4, 5, 6].map((id) => intField(fields, id)),
    [-1, -1, 1, -128],
  );
  assert.deepEqual(binaryField(fields, 1000), bytesOf(0x7a));
  assert.deepEqual(intField(structField(fields, 13) ?? new Map(), 1), 1);
  assert.deepEqual(encodeStruct(fields), bytes);
});

const leaf: fc.Arbitrary<ThriftField> = fc.oneof(
  fc.integer().map(i32),
  fc.integer({ min: -(2 ** 51), max: 2 ** 51 }).map(i64),
  fc.uint8Array({ maxLength: 40 }).map(binary),
  fc.boolean().map((value) => ({
    type: value ? THRIFT.true : THRIFT.false,
    buffer: new Uint8Array(0),
    start: 0,
    end: 0,
  })),
);
const fieldsOf = (field: fc.Arbitrary<ThriftField>): fc.Arbitrary<Map<number, ThriftField>> =>
  fc
    .array(fc.tuple(fc.integer({ min: -32_768, max: 32_767 }), field), { maxLength: 5 })
    .map((entries) => new Map(entries));
const value = fc.letrec<{ field: ThriftField }>((tie) => ({
  field: fc.oneof(
    { depthSize: "small" },
    leaf,
    fieldsOf(tie("field")).map(struct),
    fc.array(fieldsOf(tie("field")).map(struct), { maxLength: 4 }).map((items) => {
      return list(THRIFT.struct, items);
    }),
  ),
})).field;

test("what is encoded is parsed to the same fields", () => {
  fc.assert(
    fc.property(fieldsOf(value), (fields) => {
      const bytes = encodeStruct(fields);
      const parsed = parseWholeStruct(bytes);
      assert.deepEqual(
        [...parsed.keys()],
        [...fields.keys()].sort((a, b) => a - b),
      );
      for (const [id, field] of fields)
        assert.deepEqual(rawBytes(parsed.get(id) ?? field), rawBytes(field));
      assert.deepEqual(encodeStruct(parsed), bytes);
      for (let end = 0; end < Math.min(bytes.byteLength, 30); end += 1)
        assert.throws(
          () => parseStruct(bytes, { start: 0, end }),
          (error) => isPpmlError(error, "format.invalid") && error.detail["truncated"] === true,
        );
    }),
  );
});

test("random bytes are parsed or refused with one error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        parseWholeStruct(bytes);
      } catch (error) {
        assert.ok(isPpmlError(error, "format.invalid"));
      }
    }),
    { numRuns: 3000 },
  );
});

test("fields that are set, dropped or unknown come out right", () => {
  const original = parseWholeStruct(
    encodeStruct(
      new Map([
        [1, i32(5)],
        [2, i64(6)],
        [99, binary(bytesOf(7))],
      ]),
    ),
  );
  const changed = withFields(original, [
    [1, null],
    [2, i64(8)],
  ]);
  const parsed = parseWholeStruct(encodeStruct(changed));
  assert.deepEqual([...parsed.keys()], [2, 99]);
  assert.equal(intField(parsed, 2), 8);
});

test("lengths and counts over what is left are refused", () => {
  invalid(bytesOf(0x18, 0xff, 0xff, 0xff, 0xff, 0x7f, 0)); // binary of 34 GB
  invalid(bytesOf(0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f, 0)); // list of 4 G structs
  invalid(bytesOf(0x1b, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xcc, 0)); // map of 4 G structs
  invalid(bytesOf(0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0)); // list of 4 G booleans
  invalid(bytesOf(0x18, ...Array<number>(10).fill(0xff), 0x01, 0)); // endless varint
  invalid(bytesOf(0x16, ...Array<number>(10).fill(0x80), 0x00, 0));
  const big = parseWholeStruct(bytesOf(0x16, ...Array<number>(9).fill(0xff), 0x01, 0));
  assert.throws(
    () => intField(big, 1),
    (error) => isPpmlError(error, "format.invalid"),
  );
});

test("unknown types, field ids out of range, equal ids and rests are refused", () => {
  invalid(bytesOf(0x1e, 0));
  invalid(bytesOf(0x1f, 0));
  invalid(bytesOf(0x19, 0x10, 0, 0)); // a list of type 0
  invalid(bytesOf(0x05, 0x80, 0x80, 0x04, 2, 0)); // field 32768
  invalid(bytesOf(0x15, 2, 0x05, 2, 2, 0)); // field 1 twice
  invalid(bytesOf(0x15, 2, 0, 0));
});

test("deep nesting is refused without deep recursion", () => {
  invalid(bytesOf(...Array<number>(100_000).fill(0x1c)));
  invalid(bytesOf(0x19, ...Array<number>(100_000).fill(0x19)));
  invalid(bytesOf(...Array<number>(100).fill(0x1c), ...Array<number>(101).fill(0)));
});

test("a list over its bound is refused before its items are kept", () => {
  const items = Array.from({ length: 50 }, (_, index) => i32(index));
  const fields = parseWholeStruct(encodeStruct(new Map([[1, list(THRIFT.i32, items)]])));
  assert.equal(listField(fields, 1, { of: THRIFT.i32, max: 50 })?.length, 50);
  assert.throws(
    () => listField(fields, 1, { of: THRIFT.i32, max: 49 }),
    (error) => isPpmlError(error, "format.too_large"),
  );
  assert.throws(
    () => listField(fields, 1, { of: THRIFT.struct, max: 50 }),
    (error) => isPpmlError(error, "format.invalid"),
  );
});
