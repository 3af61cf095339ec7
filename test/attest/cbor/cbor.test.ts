import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { fromHex, isPpmlError, toHex } from "../../../src/base/index.ts";
import { cborMapGet, decodeCbor, expectCbor } from "../../../src/attest/cbor/decode.ts";
import type { CborValue } from "../../../src/attest/cbor/decode.ts";
import { encodeCbor } from "../../../src/attest/cbor/encode.ts";
import { sharedPath, skipWithout } from "../../shared-data.ts";

const int = (value: bigint): CborValue => ({ kind: "int", value });
const text = (value: string): CborValue => ({ kind: "text", value });
const array = (...items: CborValue[]): CborValue => ({ kind: "array", items });

/** RFC 8949 appendix A, the rows of the kinds that are read here. */
const EXAMPLES: readonly (readonly [hex: string, value: CborValue])[] = [
  ["00", int(0n)],
  ["17", int(23n)],
  ["1818", int(24n)],
  ["1864", int(100n)],
  ["1903e8", int(1000n)],
  ["1a000f4240", int(1_000_000n)],
  ["1b000000e8d4a51000", int(1_000_000_000_000n)],
  ["1bffffffffffffffff", int(18446744073709551615n)],
  ["3bffffffffffffffff", int(-18446744073709551616n)],
  ["20", int(-1n)],
  ["3863", int(-100n)],
  ["3903e7", int(-1000n)],
  ["f4", { kind: "simple", value: false }],
  ["f5", { kind: "simple", value: true }],
  ["f6", { kind: "simple", value: null }],
  ["f7", { kind: "simple", value: undefined }],
  [
    "c074323031332d30332d32315432303a30343a30305a",
    { kind: "tag", tag: 0n, item: text("2013-03-21T20:04:00Z") },
  ],
  ["c11a514b67b0", { kind: "tag", tag: 1n, item: int(1363896240n) }],
  ["d74401020304", { kind: "tag", tag: 23n, item: { kind: "bytes", value: fromHex("01020304") } }],
  ["40", { kind: "bytes", value: new Uint8Array() }],
  ["60", text("")],
  ["6449455446", text("IETF")],
  ["62c3bc", text("ü")],
  ["64f0908591", text("\u{10151}")],
  ["80", array()],
  ["8301820203820405", array(int(1n), array(int(2n), int(3n)), array(int(4n), int(5n)))],
  [
    "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
    array(...Array.from({ length: 25 }, (_, i) => int(BigInt(i + 1)))),
  ],
  ["a0", { kind: "map", entries: [] }],
  [
    "a201020304",
    {
      kind: "map",
      entries: [
        [int(1n), int(2n)],
        [int(3n), int(4n)],
      ],
    },
  ],
  [
    "a26161016162820203",
    {
      kind: "map",
      entries: [
        [text("a"), int(1n)],
        [text("b"), array(int(2n), int(3n))],
      ],
    },
  ],
];

function refuses(bytes: Uint8Array, message: RegExp): void {
  assert.throws(
    () => decodeCbor(bytes),
    (error: unknown) => isPpmlError(error, "attest.invalid") && message.test(error.message),
  );
}

test("the examples of RFC 8949 appendix A decode and encode", () => {
  for (const [hex, value] of EXAMPLES) {
    assert.deepEqual(decodeCbor(fromHex(hex)), value, hex);
    assert.equal(toHex(encodeCbor(value)), hex);
  }
});

test("any value that is encoded decodes to itself", () => {
  const leaf = fc.oneof(
    fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n }).map(int),
    fc.uint8Array({ maxLength: 300 }).map((value): CborValue => ({ kind: "bytes", value })),
    fc.string({ unit: "grapheme" }).map(text),
    fc
      .constantFrom(true, false, null, undefined)
      .map((value): CborValue => ({ kind: "simple", value })),
  );
  const { value } = fc.letrec<{ value: CborValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 6 },
      leaf,
      fc.array(tie("value"), { maxLength: 4 }).map((items) => array(...items)),
      fc
        .uniqueArray(fc.tuple(fc.string(), tie("value")), {
          maxLength: 4,
          selector: ([key]) => key,
        })
        .map((entries): CborValue => ({
          kind: "map",
          entries: entries.map(([key, item]) => [text(key), item]),
        })),
      fc
        .tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), tie("value"))
        .map(([tag, item]): CborValue => ({ kind: "tag", tag, item })),
    ),
  }));
  fc.assert(
    fc.property(value, (given) => assert.deepEqual(decodeCbor(encodeCbor(given)), given)),
    { numRuns: 300 },
  );
});

test("every truncation, and a byte more, is refused", () => {
  for (const [hex] of EXAMPLES) {
    const bytes = fromHex(hex);
    for (let length = 0; length < bytes.byteLength; length += 1)
      refuses(bytes.subarray(0, length), /cut|left/);
    refuses(fromHex(`${hex}00`), /after the end/);
  }
});

test("any bytes give a value or an error of ours", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeCbor(bytes);
      } catch (error) {
        assert.ok(isPpmlError(error, "attest.invalid"));
      }
    }),
    { numRuns: 2000 },
  );
});

test("lengths and counts over what is left are refused before anything is made", () => {
  for (const hex of ["5affffffff", "7bffffffffffffffff", "9affffffff", "bbffffffffffffffff00"])
    refuses(fromHex(hex), /cut|left/);
});

test("nesting deeper than 16 and more than 10,000 items are refused", () => {
  refuses(fromHex(`${"81".repeat(17)}00`), /deeper than 16/);
  refuses(fromHex(`${"c1".repeat(17)}00`), /deeper than 16/);
  assert.equal(decodeCbor(fromHex(`${"81".repeat(16)}00`)).kind, "array");
  refuses(fromHex(`992711${"00".repeat(10_001)}`), /more than 10000 items/);
  refuses(new Uint8Array(1024 * 1024 + 1), /at most/);
});

test("indefinite lengths, floats, reserved values and text that is not UTF-8 are refused", () => {
  for (const hex of ["5f42010243030405ff", "9f01ff", "bf616101ff"])
    refuses(fromHex(hex), /indefinite/);
  for (const hex of ["f93c00", "fa47c35000", "fb3ff199999999999a", "ff", "f0", "f818"])
    refuses(fromHex(hex), /float/);
  for (const hex of ["1c", "3d", "5e"]) refuses(fromHex(hex), /reserved/);
  refuses(fromHex("61ff"), /UTF-8/);
});

test("a map key that comes twice, or is neither integer nor text, is refused", () => {
  refuses(fromHex("a201000100"), /twice/);
  refuses(fromHex("a20100180100"), /twice/);
  refuses(fromHex("a1410100"), /map key/);
  assert.equal(decodeCbor(fromHex("a20100613100")).kind, "map");
});

test("heads of a fixed width are read, as some writers make them", () => {
  assert.deepEqual(decodeCbor(fromHex("1b0000000000000001")), int(1n));
});

test("a value of another kind, or none, is refused where one is expected", () => {
  const map = expectCbor(decodeCbor(fromHex("a20102616103")), "map");
  assert.deepEqual(cborMapGet(map, 1n), int(2n));
  assert.deepEqual(cborMapGet(map, "a"), int(3n));
  assert.equal(cborMapGet(map, "1"), undefined);
  for (const value of [cborMapGet(map, "b"), int(1n)])
    assert.throws(
      () => expectCbor(value, "bytes"),
      (error: unknown) => isPpmlError(error, "attest.invalid"),
    );
});

test("integers over 64 bits are not encoded", () => {
  for (const value of [2n ** 64n, -(2n ** 64n) - 1n])
    assert.throws(
      () => encodeCbor(int(value)),
      (error: unknown) => isPpmlError(error, "attest.invalid"),
    );
});

const cose = sharedPath("vectors", "attestation", "caci", "uvm-reference-info.cose");
test(
  "a COSE_Sign1 of Microsoft decodes and encodes to the same bytes",
  {
    skip: skipWithout(cose),
  },
  () => {
    const bytes = new Uint8Array(readFileSync(cose ?? ""));
    const sign1 = expectCbor(decodeCbor(bytes), "tag");
    assert.equal(sign1.tag, 18n);
    assert.equal(expectCbor(sign1.item, "array").items.length, 4);
    assert.deepEqual(encodeCbor(sign1), bytes);
  },
);
