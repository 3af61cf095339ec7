import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isPpmlError } from "../../../src/base/error.ts";
import {
  chunkStatistics,
  encodeSkeleton,
  rewrapFooter,
} from "../../../src/format/parquet/index.ts";
import { concatBytes, fromUtf8, utf8 } from "../../../src/base/bytes.ts";
import { type Duck, startDuck } from "./duck.ts";
import { decryptBytes, footerOf, keyOf, keysOf, openBytes, sealBytes, sourceOf } from "./tables.ts";
import { readSealedFooter } from "../../../src/format/parquet/sealed-footer.ts";

const QUERY = `
  select i, 'name' || (i % 50) as name, {a: i, b: {c: i * 2}} as st, i * 3 as pay
  from range(8000) t(i)`;
const GROUPS = { names: ["name"], nested: ["st"], money: ["pay"] };
const NO_PAGE = /don't know what type|TProtocolException|Invalid/;

let duck: Duck;
let plain: Uint8Array;
let sealed: Uint8Array;
before(async () => {
  duck = await startDuck();
  plain = await duck.parquet(QUERY, ", row_group_size 2048");
  sealed = (await sealBytes(plain, GROUPS)).bytes;
});
after(() => duck[Symbol.asyncDispose]());

test("only the chosen columns and row groups are in the opened file", async () => {
  const opened = await decryptBytes(sealed, { columns: ["i", "st.b"], rowGroups: [1, 2] });
  assert.equal(
    await duck.rows(opened, "select count(*) n, sum(i) i, sum(st.b.c) c from '$file'"),
    await duck.rows(
      plain,
      "select count(*) n, sum(i) i, sum(st.b.c) c from '$file' where i >= 2048 and i < 6144",
    ),
  );
  for (const column of ["name", "pay", "st.a", "st"])
    await assert.rejects(duck.rows(opened, `select max(${column}) from '$file'`), NO_PAGE, column);
  const columns = "select name, type from parquet_schema('$file')";
  assert.equal(await duck.rows(opened, columns), await duck.rows(plain, columns));
});

test("only the chosen columns are read from the source", async () => {
  const footer = await openBytes(sealed);
  const source = sourceOf(sealed);
  const reads: number[] = [];
  const counting = {
    ...source,
    read: (offset: number, length: number) => {
      reads.push(length);
      return source.read(offset, length);
    },
  };
  await decryptBytes(sealed, { footer, source: counting, columns: ["pay"], rowGroups: [3] });
  const length = footer.rowGroups[3]?.chunks.at(-1)?.meta?.pages.length ?? 0;
  assert.deepEqual(reads, [length]);
});

test("with the keys of all other groups a group's column stays closed", async () => {
  for (const [missing, columns] of Object.entries(GROUPS)) {
    const others = ["footer", ...Object.keys(GROUPS)].filter((name) => name !== missing);
    const keyFor = keysOf(...others);
    const footer = await openBytes(sealed, keyFor);
    for (const column of footer.columns)
      assert.equal(column.accessible, !columns.includes(column.leaf.path[0] ?? ""));
    await assert.rejects(decryptBytes(sealed, { footer, columns }), (error) =>
      isPpmlError(error, "open.no_key"),
    );
    const open = ["i", "name", "st", "pay"].filter((name) => !columns.includes(name));
    const opened = await decryptBytes(sealed, { footer, columns: open });
    const query = `select ${open.join(", ")} from '$file'`;
    assert.equal(await duck.rows(opened, query), await duck.rows(plain, query));
  }
});

test("a closed column shows its path and key metadata and nothing else", async () => {
  const footer = await openBytes(sealed, keysOf("footer"));
  const pay = footer.columns.find((column) => column.leaf.dotted === "pay");
  assert.equal(pay?.protection, "column-key");
  assert.equal(fromUtf8(pay?.keyMetadata ?? new Uint8Array(0)), "money");
  for (const group of footer.rowGroups) {
    const [first, , , , last] = group.chunks;
    assert.ok(first !== undefined && last !== undefined);
    assert.equal(chunkStatistics(first)?.nulls, 0);
    assert.equal(chunkStatistics(first)?.min?.byteLength, 8);
    assert.equal(chunkStatistics(last), null);
    assert.equal(last.meta, null);
  }
});

test("without the footer's key nothing opens", async () => {
  await assert.rejects(openBytes(sealed, keysOf("names", "nested", "money")), (error) =>
    isPpmlError(error, "open.no_key"),
  );
});

test("a skeleton without row groups binds as the table does, and has no row", async () => {
  const skeleton = encodeSkeleton(await openBytes(sealed, keysOf("footer")), {
    rowGroups: "none",
  });
  const schema = "select column_name, column_type from (describe select * from '$file')";
  assert.equal(await duck.rows(skeleton, schema), await duck.rows(plain, schema));
  assert.equal(await duck.rows(skeleton, "select * from '$file'"), "[]");
});

test("a skeleton binds, plans and shows row groups, and gives no value", async () => {
  const skeleton = encodeSkeleton(await openBytes(sealed, keysOf("footer", "money")), {
    rowGroups: "all",
  });
  const schema = "select column_name, column_type from (describe select * from '$file')";
  assert.equal(await duck.rows(skeleton, schema), await duck.rows(plain, schema));
  const explained = await duck.rows(
    skeleton,
    "explain select name, sum(pay) from '$file' where i < 5 group by name",
  );
  assert.match(explained, /PARQUET_SCAN/);
  const bounds = `
    select row_group_id, row_group_num_rows, path_in_schema, stats_min_value, stats_max_value
    from parquet_metadata('$file') where path_in_schema`;
  const ours = `${bounds} in ('i', 'pay')`;
  assert.equal(await duck.rows(skeleton, ours), await duck.rows(plain, ours));
  const closed = JSON.parse(await duck.rows(skeleton, `${bounds} = 'name'`)) as unknown[];
  assert.equal(closed.length, 4);
  assert.ok(!JSON.stringify(closed).includes("name1"));
  for (const column of ["i", "name", "st.a"])
    await assert.rejects(duck.rows(skeleton, `select sum(hash(${column})) from '$file'`), NO_PAGE);
  assert.equal(skeleton.byteLength < plain.byteLength / 4, true);
});

test("columns that do not exist, are named twice or are ambiguous are refused", async () => {
  await refusedPlan({ a: ["missing"] });
  await refusedPlan({ a: ["st.missing"] });
  await refusedPlan({ a: ["Name"] });
  await refusedPlan({ a: [] });
  await refusedPlan({ a: ["name", "name"] });
  await refusedPlan({ a: ["st"], b: ["st.b.c"] });
  const dots = await duck.parquet(`select {b: 1} as a, 2 as "a.b"`);
  await refusedPlan({ a: ["a.b"] }, dots);
  await assert.rejects(decryptBytes(sealed, { columns: ["missing"] }), (error) =>
    isPpmlError(error, "format.invalid"),
  );
  for (const rowGroups of [[4], [-1], [1, 0], [1, 1], [0.5]])
    await assert.rejects(decryptBytes(sealed, { rowGroups }), (error) =>
      isPpmlError(error, "format.invalid"),
    );
});

test("a plain file is told apart, and a sealed one is not sealed again", async () => {
  assert.equal((await readSealedFooter(sourceOf(plain))).kind, "plaintext");
  assert.equal((await readSealedFooter(sourceOf(sealed))).kind, "encrypted-footer");
  await assert.rejects(sealBytes(sealed), (error) => isPpmlError(error, "seal.input"));
});

test("re-wrapping changes key metadata and no page", async () => {
  const old = await footerOf(sealed);
  const mapped: string[] = [];
  const renewed = rewrapFooter({
    sealed: old,
    footerKey: keyOf("footer").dek,
    mapKeyMetadata: (keyMetadata, place) => {
      mapped.push(place === "footer" ? place : place.column);
      return utf8(`new ${fromUtf8(keyMetadata)}`);
    },
  });
  const file = concatBytes(sealed.subarray(0, old.offset), renewed.fileEnd);
  const changed = await footerOf(file);
  assert.deepEqual(changed.digest, renewed.digest);
  assert.notDeepEqual(changed.digest, old.digest);
  assert.deepEqual(mapped, ["footer", "name", "st.a", "pay"]);
  const opened = await decryptBytes(file, {
    keyFor: (keyMetadata) => {
      const name = fromUtf8(keyMetadata ?? new Uint8Array(0));
      return name.startsWith("new ") ? keyOf(name.slice(4)).dek : null;
    },
  });
  const all = "select * from '$file'";
  assert.equal(await duck.rows(opened, all), await duck.rows(plain, all));
  assert.throws(
    () =>
      rewrapFooter({
        sealed: old,
        footerKey: keyOf("names").dek,
        mapKeyMetadata: (keyMetadata) => keyMetadata,
      }),
    (error) => isPpmlError(error, "open.not_authentic"),
  );
});

async function refusedPlan(
  groups: Readonly<Record<string, readonly string[]>>,
  table = plain,
): Promise<void> {
  await assert.rejects(sealBytes(table, groups), (error) => isPpmlError(error, "seal.plan"));
}
