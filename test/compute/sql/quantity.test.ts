import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  compareQuantities,
  decodeBound,
  measureOf,
  parseConstant,
} from "../../../src/compute/sql/quantity.ts";

test("only types whose statistics bound every value are measured", () => {
  for (const type of ["TINYINT", "UBIGINT", "DECIMAL(15,2)", "DECIMAL(15, 2)"])
    assert.equal(measureOf(type), "number", type);
  assert.equal(measureOf("DATE"), "days");
  assert.equal(measureOf("TIMESTAMP"), "microseconds");
  for (const type of ["DOUBLE", "VARCHAR", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS", "INTEGER[]"])
    assert.equal(measureOf(type), null, type);
});

test("constants of the plan are read exactly, and others are not guessed", () => {
  assert.deepEqual(parseConstant("-0.05", "number"), { digits: -5n, scale: 2 });
  assert.deepEqual(parseConstant("'12.50'::DECIMAL(15,2)", "number"), { digits: 1250n, scale: 2 });
  assert.deepEqual(parseConstant("'1970-01-02'::DATE", "days"), { digits: 1n, scale: 0 });
  assert.deepEqual(parseConstant("'1969-12-31'::DATE", "days"), { digits: -1n, scale: 0 });
  assert.deepEqual(parseConstant("'1970-01-01 00:00:01.5'::TIMESTAMP", "microseconds"), {
    digits: 1_500_000n,
    scale: 0,
  });
  for (const text of ["1e5", "'x'::DATE", "'2021-02-30'::DATE", "5", "'5'::INTEGER"])
    assert.equal(parseConstant(text, "days"), null, text);
  for (const text of ["1e5", "'5'::DOUBLE", "'1970-01-02'::DATE", ".5", ""])
    assert.equal(parseConstant(text, "number"), null, text);
});

test("numbers of any scale compare as numbers do", () => {
  const quantity = fc.record({ digits: fc.bigInt(), scale: fc.nat(20) });
  fc.assert(
    fc.property(quantity, quantity, (a, b) => {
      const left = a.digits * 10n ** BigInt(b.scale);
      const right = b.digits * 10n ** BigInt(a.scale);
      const expected = left === right ? 0 : left < right ? -1 : 1;
      assert.equal(compareQuantities(a, b), expected);
    }),
  );
});

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));

for (const [hex, type, physicalType, digits, scale] of [
  ["ffffffff", "INTEGER", "INT32", -1n, 0],
  ["ffffffff", "UINTEGER", "INT32", 4_294_967_295n, 0],
  ["feffffffffffffff", "DECIMAL(15,2)", "INT64", -2n, 2],
  ["ff38", "DECIMAL(20,3)", "FIXED_LEN_BYTE_ARRAY", -200n, 3],
  ["01000000", "DATE", "INT32", 1n, 0],
] as const)
  test(`a bound of ${type} stored as ${physicalType} is decoded`, () => {
    assert.deepEqual(decodeBound(bytes(hex), { type, physicalType, unit: null }), {
      digits,
      scale,
    });
  });

test("a bound of a timestamp counts microseconds, whatever its file counts", () => {
  const timestamp = { type: "TIMESTAMP", physicalType: "INT64" };
  const one = bytes("0100000000000000");
  assert.equal(decodeBound(one, { ...timestamp, unit: "milliseconds" })?.digits, 1000n);
  assert.equal(decodeBound(one, { ...timestamp, unit: "microseconds" })?.digits, 1n);
  assert.equal(decodeBound(one, { ...timestamp, unit: "nanoseconds" }), null);
});

test("bounds of another length or type are no bounds", () => {
  for (const [hex, type, physicalType] of [
    ["ffffff", "INTEGER", "INT32"],
    ["ffffffff", "BIGINT", "INT64"],
    ["", "DECIMAL(20,3)", "FIXED_LEN_BYTE_ARRAY"],
    ["ff", "INTEGER", "BYTE_ARRAY"],
    ["0000000000000000", "TIMESTAMP", "INT64"],
    ["000000000000000000000000", "TIMESTAMP", "INT96"],
  ] as const)
    assert.equal(decodeBound(bytes(hex), { type, physicalType, unit: null }), null, type);
});
