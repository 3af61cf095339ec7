import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { equalBytes, sha256 } from "../../../src/base/bytes.ts";
import type { TableSource } from "../../../src/format/parquet/source-window.ts";
import { type Duck, startDuck } from "./duck.ts";
import { decryptBytes, footerOf, openBytes, sealBytes, sourceOf } from "./tables.ts";

const ALL_TYPES = `
  select i::tinyint as i8, i::smallint as i16, i::integer as i32, i as i64, i::hugeint as i128,
    (i % 200)::utinyint as u8, i::usmallint as u16, i::uinteger as u32, i::ubigint as u64,
    i / 3 as f64, (i / 3)::float as f32, i % 2 = 0 as bool,
    (i * 1.25)::decimal(4, 1) as dec16, (i * 1.25)::decimal(9, 2) as dec32,
    (i * 1.25)::decimal(18, 3) as dec64, (i * 1.25)::decimal(38, 10) as dec128,
    date '2000-01-01' + i::integer as day, time '10:00:00' + to_seconds(i) as clock,
    timestamp '2001-02-03 04:05:06.789' + to_hours(i) as at,
    (timestamp '2001-02-03 04:05:06' + to_hours(i))::timestamptz as at_zone,
    (timestamp '2001-02-03 04:05:06' + to_hours(i))::timestamp_ns as at_ns,
    to_days(i::integer) as span, 'text ' || i as text, ('\\x00\\xFF' || i)::blob as bytes,
    ('00000000-0000-0000-0000-' || lpad(i::varchar, 12, '0'))::uuid as id,
    ['red', 'green', 'blue'][i % 3 + 1]::enum('red', 'green', 'blue') as colour,
    {a: i, b: 'b' || i, c: {d: [i, null, i + 1]}} as struct_,
    range(i % 5) as list_, [[i], [], null, [i, i]] as lists, map {'k' || i: i, 'l': null} as map_,
    case when i % 3 = 0 then null else i end as holes, null::integer as nothing
  from range(120) t(i)`;
const MANY = `
  select i, i % 10 as k, 'name' || (i % 50) as name, [i, i % 7] as list_, hash(i) as h
  from range(9000) t(i)`;
const ALL = "select * from '$file'";

let duck: Duck;
before(async () => {
  duck = await startDuck();
});
after(() => duck[Symbol.asyncDispose]());

for (const compression of ["uncompressed", "snappy", "zstd", "gzip"])
  for (const version of ["V1", "V2"])
    test(`all types come back as they were: ${compression}, pages ${version}`, async () => {
      const plain = await duck.parquet(
        ALL_TYPES,
        `, compression ${compression}, parquet_version '${version}'`,
      );
      const groups = { one: ["struct_", "text"], two: ["map_.key_value.value", "i64", "nothing"] };
      const { bytes } = await sealBytes(plain, groups);
      const opened = await decryptBytes(bytes);
      assert.equal(await duck.rows(opened, ALL), await duck.rows(plain, ALL));
    });

test("several row groups with dictionaries and Bloom filters come back as they were", async () => {
  const plain = await duck.parquet(MANY, ", row_group_size 2048");
  const { bytes, table } = await sealBytes(plain, { secret: ["name", "list_"] });
  const opened = await decryptBytes(bytes);
  assert.equal(await duck.rows(opened, ALL), await duck.rows(plain, ALL));
  assert.equal(table.rows, 9000);
  assert.equal(table.rowGroups, 5);
  assert.equal(table.length, bytes.byteLength);
});

test("the summary holds the digest, the length and the columns with their groups", async () => {
  const plain = await duck.parquet(MANY);
  const { bytes, table } = await sealBytes(plain, { one: ["list_"], two: ["name"] });
  const footer = bytes.subarray(bytes.byteLength - 8 - table.footerLength, -8);
  assert.ok(equalBytes(sha256(footer), table.footerDigest));
  const sealed = await footerOf(bytes);
  assert.ok(equalBytes(sealed.digest, table.footerDigest));
  assert.ok(equalBytes(sealed.crypto.fileUnique, table.fileUnique));
  assert.deepEqual(table.columns, [
    { path: "i", type: "INT64", logicalType: "INTEGER", group: null },
    { path: "k", type: "INT64", logicalType: "INTEGER", group: null },
    { path: "name", type: "BYTE_ARRAY", logicalType: "STRING", group: 1 },
    { path: "list_.list.element", type: "INT64", logicalType: "INTEGER", group: 0 },
    { path: "h", type: "INT64", logicalType: "INTEGER", group: null },
  ]);
});

test("a table without rows and one without statistics are sealed too", async () => {
  for (const query of [`${MANY} limit 0`, "select null::integer as n from range(5)"]) {
    const plain = await duck.parquet(query);
    const { bytes } = await sealBytes(plain);
    const opened = await decryptBytes(bytes);
    assert.equal(await duck.rows(opened, ALL), await duck.rows(plain, ALL));
  }
});

test("pages larger than every buffer come back as they were", async () => {
  const plain = await duck.parquet(
    "select i, repeat(chr((65 + i)::integer), 7000000) as wide from range(2) t(i)",
    ", compression uncompressed",
  );
  const { bytes } = await sealBytes(plain);
  const opened = await decryptBytes(bytes);
  const sums = "select i, md5(wide) as sum, length(wide) as length from '$file'";
  assert.equal(await duck.rows(opened, sums), await duck.rows(plain, sums));
});

test("a source that reads into memory at hand gives the same table", async () => {
  const plain = await duck.parquet(MANY, ", row_group_size 2048");
  const { bytes } = await sealBytes(plain, {}, { source: reuse(plain) });
  const opened = await decryptBytes(bytes, { source: reuse(bytes) });
  assert.equal(await duck.rows(opened, ALL), await duck.rows(plain, ALL));
});

test("nothing of the data, the schema or the statistics is readable in a sealed table", async () => {
  const plain = await duck.parquet(
    "select 'canary-value-' || i as canary_column from range(50) t(i)",
    ", compression uncompressed",
  );
  const { bytes } = await sealBytes(plain, { secret: ["canary_column"] });
  assert.ok(text(plain).includes("canary-value-7") && text(plain).includes("canary_column"));
  assert.ok(!text(bytes).includes("canary"));
});

test("two sealings of one table share no module", async () => {
  const plain = await duck.parquet(MANY);
  const [first, second] = [await sealBytes(plain), await sealBytes(plain)];
  assert.notDeepEqual(first.bytes.subarray(4, 64), second.bytes.subarray(4, 64));
  const footer = await openBytes(first.bytes);
  assert.equal(footer.columns.length, 5);
  assert.ok(footer.columns.every((column) => column.protection === "footer-key"));
});

function text(file: Uint8Array): string {
  return Buffer.from(file).toString("latin1");
}

/** A source that fills memory of its caller's, as stored files do. */
function reuse(file: Uint8Array): TableSource {
  return {
    ...sourceOf(file),
    readInto: (offset, target) => {
      target.set(file.subarray(offset, offset + target.byteLength));
      return Promise.resolve();
    },
  };
}
