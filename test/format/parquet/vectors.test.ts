import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sha256, toHex } from "../../../src/base/bytes.ts";
import { isPpmlError } from "../../../src/base/error.ts";
import { parsePageHeader } from "../../../src/format/parquet/page-header.ts";
import { parseBloomHeader } from "../../../src/format/parquet/page-index.ts";
import { readSealedFooter, type TableFooter } from "../../../src/format/parquet/index.ts";
import {
  intField,
  listField,
  parseWholeStruct,
  structOf,
  THRIFT,
} from "../../../src/format/parquet/thrift.ts";
import { parseFileMetadata } from "../../../src/format/parquet/file-metadata.ts";
import { parseChunkMeta } from "../../../src/format/parquet/file-metadata.ts";
import { readU32 } from "../../../src/format/parquet/module-cipher.ts";
import { type Duck, startDuck } from "./duck.ts";
import { decryptBytes, openBytes, sealBytes, sourceOf } from "./tables.ts";
import { masterKeys, vector } from "./vectors.ts";

const ALL = "select * from '$file'";

let duck: Duck;
let expected: string;
before(async () => {
  duck = await startDuck();
  expected = await duck.rows(vector("plain-index"), ALL);
});
after(() => duck[Symbol.asyncDispose]());

/** Checks that each page index of a plain file points at its pages; gives how many there are. */
function checkIndexes(file: Uint8Array): { offsetIndexes: number; bloomFilters: number } {
  const dataEnd = file.byteLength - 8 - readU32(file, file.byteLength - 8);
  const metadata = parseFileMetadata(file.subarray(dataEnd, -8));
  const found = { offsetIndexes: 0, bloomFilters: 0 };
  for (const { chunks } of metadata.rowGroups)
    for (const { leaf, meta: raw, offsetIndex, columnIndex } of chunks) {
      assert.ok(raw !== null);
      const meta = parseChunkMeta(raw, { leaf, dataEnd });
      if (meta.bloomFilter !== null) {
        const { offset, length } = meta.bloomFilter;
        const { headerLength, bitsetLength } = parseBloomHeader(file.subarray(offset, dataEnd));
        assert.equal(headerLength + bitsetLength, length);
        found.bloomFilters += 1;
      }
      if (offsetIndex === null || columnIndex === null) continue;
      found.offsetIndexes += 1;
      const bytes = file.subarray(offsetIndex.offset, offsetIndex.offset + offsetIndex.length);
      const locations = listField(parseWholeStruct(bytes), 1, { of: THRIFT.struct, max: 1000 });
      let next: number | null = null;
      for (const location of locations ?? []) {
        const start = intField(structOf(location), 1) ?? -1;
        const size = intField(structOf(location), 2) ?? -1;
        if (next !== null) assert.equal(start, next);
        const { header, end } = parsePageHeader(file, { start, end: dataEnd });
        assert.equal(header.kind, "data");
        assert.equal(end + header.size, start + size);
        next = start + size;
      }
      assert.equal(next, meta.pages.offset + meta.pages.length);
    }
  return found;
}

for (const name of ["plain-index", "plain-bloom-v2", "plain-checksum"])
  test(`${name}: pages, page indexes and Bloom filters survive sealing and opening`, async () => {
    const plain = vector(name);
    const { bytes } = await sealBytes(plain, { lists: ["l"], money: ["dec", "s"] });
    const opened = await decryptBytes(bytes);
    assert.equal(await duck.rows(opened, ALL), expected);
    const found = checkIndexes(opened);
    assert.deepEqual(found, checkIndexes(plain));
    assert.equal(found.offsetIndexes, name === "plain-checksum" ? 0 : 15);
    assert.equal(found.bloomFilters, name === "plain-bloom-v2" ? 6 : 0);
    const lookup = "select count(*) from '$file' where s = 'name7' and i = 127";
    assert.equal(await duck.rows(opened, lookup), await duck.rows(plain, lookup));
    const dropped = await decryptBytes(bytes, { indexes: "drop" });
    assert.equal(await duck.rows(dropped, ALL), expected);
    assert.deepEqual(checkIndexes(dropped), { offsetIndexes: 0, bloomFilters: 0 });
  });

test("changed page indexes and Bloom filters are refused", async () => {
  const { bytes } = await sealBytes(vector("plain-bloom-v2"));
  const footer = await openBytes(bytes);
  const chunk = footer.rowGroups[1]?.chunks[1];
  const places = [chunk?.entry.columnIndex, chunk?.entry.offsetIndex, chunk?.meta?.bloomFilter];
  for (const place of places) {
    assert.ok(place !== null && place !== undefined);
    const copy = bytes.slice();
    const at = place.offset + 40;
    copy[at] = (copy[at] ?? 0) ^ 1;
    await assert.rejects(decryptBytes(copy), (error) => isPpmlError(error, "open.not_authentic"));
    await decryptBytes(copy, { indexes: "drop" });
  }
});

const protections = (footer: TableFooter): string =>
  footer.columns.map(({ protection }) => protection[0]).join("");

for (const [name, kinds] of [
  ["uniform", "fffff"],
  ["uniform-single-v2", "fffff"],
  ["uniform-256-checksum", "fffff"],
  ["columns-index", "ccccc"],
] as const)
  test(`pyarrow's ${name} is opened`, async () => {
    const sealed = vector(`pyarrow-${name}`);
    const footer = await openBytes(sealed, masterKeys());
    assert.equal(footer.sealed.kind, "encrypted-footer");
    assert.equal(protections(footer), kinds);
    const opened = await decryptBytes(sealed, { footer });
    assert.equal(await duck.rows(opened, ALL), expected);
    assert.equal(checkIndexes(opened).offsetIndexes, /index|v2/.test(name) ? 15 : 0);
  });

for (const [name, kind, closed] of [
  ["columns-partial-v2", "encrypted-footer", /stored in the clear/],
  ["plaintext-footer-index", "plaintext-footer", /stored in the clear/],
  ["ctr", "encrypted-footer", /stored with CTR/],
] as const)
  test(`pyarrow's ${name} is opened only where unauthenticated pages are accepted`, async () => {
    const sealed = vector(`pyarrow-${name}`);
    const footer = await openBytes(sealed, masterKeys());
    assert.equal(footer.sealed.kind, kind);
    const opened = await decryptBytes(sealed, { footer, unauthenticated: "accept" });
    assert.equal(await duck.rows(opened, ALL), expected);
    checkIndexes(opened);
    await assert.rejects(
      decryptBytes(sealed, { footer }),
      (error) => isPpmlError(error, "open.plaintext") && closed.test(error.message),
    );
  });

test("encrypted columns of a file with columns in the clear are opened without accepting those", async () => {
  for (const name of ["columns-partial-v2", "plaintext-footer-index"]) {
    const sealed = vector(`pyarrow-${name}`);
    const footer = await openBytes(sealed, masterKeys());
    assert.equal(protections(footer), "ncccn");
    const opened = await decryptBytes(sealed, { footer, columns: ["s", "l", "dec"] });
    const query = "select s, l, dec from '$file'";
    assert.equal(await duck.rows(opened, query), await duck.rows(vector("plain-index"), query));
  }
});

test("columns whose master key is missing stay closed", async () => {
  for (const name of ["columns-index", "columns-partial-v2", "plaintext-footer-index"]) {
    const sealed = vector(`pyarrow-${name}`);
    const footer = await openBytes(sealed, masterKeys("footer", "two"));
    assert.deepEqual(
      footer.columns.filter((column) => !column.accessible).map((column) => column.leaf.dotted),
      ["s", "l.list.element"],
    );
    const opened = await decryptBytes(sealed, {
      footer,
      columns: ["i", "dec", "ts"],
      unauthenticated: "accept",
    });
    const query = "select i, dec, ts from '$file'";
    assert.equal(await duck.rows(opened, query), await duck.rows(vector("plain-index"), query));
    await assert.rejects(decryptBytes(sealed, { footer, columns: ["l"] }), (error) =>
      isPpmlError(error, "open.no_key"),
    );
  }
});

test("a plaintext footer with any byte changed is refused", async () => {
  const sealed = vector("pyarrow-plaintext-footer-index");
  const { offset, raw } = await readSealedFooter(sourceOf(sealed));
  for (let at = offset; at < offset + raw.byteLength; at += 7) {
    const copy = sealed.slice();
    copy[at] = (copy[at] ?? 0) ^ 1;
    await assert.rejects(
      decryptBytes(copy, { keyFor: masterKeys(), unauthenticated: "accept" }),
      (error) => isPpmlError(error) && /^(format|open|key)\./.test(error.code),
    );
  }
});

test("with the same random bytes the sealed file is the same, byte for byte", async () => {
  const { bytes } = await sealBytes(
    vector("plain-bloom-v2"),
    { lists: ["l"] },
    { randomBytes: (length) => new Uint8Array(length).fill(7) },
  );
  assert.equal(
    toHex(sha256(bytes)),
    "07d25d5e9c358e083fbde439c1a7514977552a7576f231e1fbb43bbbc44c96fe",
  );
});
