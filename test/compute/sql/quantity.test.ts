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
  fc.assert(
    fc.property(fc.bigInt(), fc.nat(20), fc.bigInt(), fc.nat(20), (a, scaleA, b, scaleB) => {
      const left = a * 10n ** BigInt(scaleB);
      const right = b * 10n ** BigInt(scaleA);
      const expected = left === right ? 0 : left < right ? -1 : 1;
      const order = compareQuantities({ digits: a, scale: scaleA }, { digits: b, scale: scaleB });
      assert.equal(order, expected);
    }),
  );
});

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));

test("bounds are decoded as the column stores them", () => {
  const decode = (hex: string, type: string, physicalType: string, unit: null | string = null) =>
    decodeBound(bytes(hex), { type, physicalType, unit } as Parameters<typeof decodeBound>[1]);
  assert.deepEqual(decode("ffffffff", "INTEGER", "INT32"), { digits: -1n, scale: 0 });
  assert.deepEqual(decode("ffffffff", "UINTEGER", "INT32"), { digits: 4_294_967_295n, scale: 0 });
  assert.deepEqual(decode("feffffffffffffff", "DECIMAL(15,2)", "INT64"), {
    digits: -2n,
    scale: 2,
  });
  assert.deepEqual(decode("ff38", "DECIMAL(20,3)", "FIXED_LEN_BYTE_ARRAY"), {
    digits: -200n,
    scale: 3,
  });
  const oneMillisecond = decode("0100000000000000", "TIMESTAMP", "INT64", "milliseconds");
  assert.deepEqual(oneMillisecond, { digits: 1000n, scale: 0 });
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
