import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { concatBytes } from "../../../src/base/bytes.ts";
import { isPpmlError } from "../../../src/base/error.ts";
import type { ByteRange } from "../../../src/format/parquet/file-metadata.ts";
import type { KeyFor } from "../../../src/format/parquet/index.ts";
import { type Duck, startDuck } from "./duck.ts";
import { decryptBytes, footerOf, keyOf, openBytes, sealBytes } from "./tables.ts";
import { vector } from "./vectors.ts";

const GROUPS = { secret: ["b"] };
// What a changed file may be refused with: nothing else is ever thrown.
const REFUSALS = [
  "format.invalid",
  "format.unsupported",
  "format.too_large",
  "open.not_authentic",
  "open.no_key",
  "open.plaintext",
];

let duck: Duck;
let sealed: Uint8Array;
let other: Uint8Array;
before(async () => {
  duck = await startDuck();
  // Fixed width, PLAIN, uncompressed: chunks of two columns and row groups have equal lengths.
  const plain = await duck.parquet(
    "select hash(i) as a, hash(i + 1) as b, hash(i + 2) as c from range(4096) t(i)",
    ", compression uncompressed, row_group_size 2048",
  );
  sealed = (await sealBytes(plain, GROUPS)).bytes;
  other = (await sealBytes(plain, GROUPS)).bytes;
});
after(() => duck[Symbol.asyncDispose]());

async function refusedAs(bytes: Uint8Array, ...codes: readonly string[]): Promise<void> {
  await assert.rejects(
    decryptBytes(bytes),
    (error) => isPpmlError(error) && codes.includes(error.code),
  );
}

async function chunkRange(rowGroup: number, column: number): Promise<ByteRange> {
  const footer = await openBytes(sealed);
  const range = footer.rowGroups[rowGroup]?.chunks[column]?.meta?.pages;
  assert.ok(range !== undefined);
  return range;
}

/** `bytes` with the range's bytes taken from `from` at `offset`. */
function replaced(bytes: Uint8Array, range: ByteRange, from: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy.set(from.subarray(0, range.length), range.offset);
  return copy;
}

test("a file cut at any length is refused", async () => {
  const small = (await sealBytes(await duck.parquet("select 1 as a, 'x' as b"), GROUPS)).bytes;
  for (let length = 0; length < small.byteLength; length += 1)
    await refusedAs(small.subarray(0, length), "format.invalid");
});

test("a file with any byte changed is refused", async () => {
  const small = (await sealBytes(await duck.parquet("select 1 as a, 'x' as b"), GROUPS)).bytes;
  await fc.assert(
    fc.asyncProperty(fc.nat(small.byteLength - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const copy = small.slice();
      copy[at] = (copy[at] ?? 0) ^ flip;
      return refusedAs(copy, ...REFUSALS);
    }),
    { numRuns: 1500 },
  );
});

test("a file with bytes taken out, put in or moved anywhere is refused", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(sealed.byteLength),
      fc.nat(4000),
      fc.uint8Array({ maxLength: 40 }),
      async (at, removed, added) => {
        fc.pre(removed > 0 || added.byteLength > 0);
        const tail = sealed.subarray(Math.min(at + removed, sealed.byteLength));
        const changed = concatBytes(sealed.subarray(0, at), added, tail);
        fc.pre(Buffer.compare(changed, sealed) !== 0);
        await refusedAs(changed, ...REFUSALS);
      },
    ),
    { numRuns: 150 },
  );
});

test("pages of another file under the same keys are refused", async () => {
  for (const column of [0, 1]) {
    const range = await chunkRange(0, column);
    const copy = replaced(sealed, range, other.subarray(range.offset));
    await refusedAs(copy, "open.not_authentic");
  }
});

test("pages of another column or row group of the same file are refused", async () => {
  const target = await chunkRange(0, 0);
  for (const from of [await chunkRange(0, 2), await chunkRange(1, 0)]) {
    assert.equal(from.length, target.length);
    const copy = replaced(sealed, target, sealed.subarray(from.offset));
    await refusedAs(copy, "open.not_authentic");
  }
});

test("pages of one chunk in another order are refused", async () => {
  const { bytes } = await sealBytes(vector("plain-checksum"));
  const footer = await openBytes(bytes);
  const range = footer.rowGroups[0]?.chunks.at(-1)?.meta?.pages;
  assert.ok(range !== undefined);
  // Each page is two modules, header and body, each after its length.
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const pages: ByteRange[] = [];
  for (let at = range.offset; at < range.offset + range.length;) {
    const head = 4 + view.getUint32(at, true);
    const length = head + 4 + view.getUint32(at + head, true);
    pages.push({ offset: at, length });
    at += length;
  }
  const [first, second] = pages;
  assert.ok(first !== undefined && second !== undefined && first.length === second.length);
  const swapped = replaced(bytes, first, bytes.subarray(second.offset));
  await refusedAs(replaced(swapped, second, bytes.subarray(first.offset)), "open.not_authentic");
  await refusedAs(replaced(bytes, second, bytes.subarray(first.offset)), "open.not_authentic");
});

test("the footer of another file under the same keys opens none of the pages", async () => {
  const mine = await footerOf(sealed);
  const theirs = await footerOf(other);
  const spliced = concatBytes(sealed.subarray(0, mine.offset), other.subarray(theirs.offset));
  await openBytes(spliced);
  await refusedAs(spliced, "open.not_authentic");
});

test("a wrong key opens nothing", async () => {
  for (const name of ["footer", "secret"])
    await assert.rejects(openBytes(sealed, wrongKey(name)), (error) =>
      isPpmlError(error, "open.not_authentic"),
    );
});

test("a file whose header claims CTR pages is refused where data must be trusted", async () => {
  const footer = await footerOf(sealed);
  const copy = sealed.slice();
  // FileCryptoMetaData begins `struct 1 { union field 1`: 0x1c, 0x1c; field 2 is CTR.
  assert.deepEqual([...copy.subarray(footer.offset, footer.offset + 2)], [0x1c, 0x1c]);
  copy[footer.offset + 1] = 0x2c;
  assert.equal((await footerOf(copy)).crypto.algorithm, "AES_GCM_CTR_V1");
  await refusedAs(copy, "open.plaintext");
});

/** All keys, with another one in place of that of this name. */
function wrongKey(name: string): KeyFor {
  return (keyMetadata) => {
    const wanted = Buffer.from(keyMetadata ?? new Uint8Array(0)).toString();
    return keyOf(wanted === name ? "wrong" : wanted).dek;
  };
}
