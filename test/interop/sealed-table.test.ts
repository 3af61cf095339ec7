import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileInput, makeTestKek, sealTestDataset, writeParquet } from "../compute/fixture.ts";
import type { TestKek } from "../compute/fixture.ts";
import { startDuck } from "../format/parquet/duck.ts";
import { decryptBytes } from "../format/parquet/tables.ts";
import { makeFolder, python } from "./python.ts";
import type { Folder } from "./python.ts";
import { keysUnder, TYPES_SQL, writeKeks } from "./tables.ts";

const REST = makeTestKek("interop/rest");
const MONEY = makeTestKek("interop/money");
const NESTED = makeTestKek("interop/nested");
const GROUPS = [
  { name: "rest", kek: REST, columns: null },
  { name: "money", kek: MONEY, columns: ["dec4", "dec9", "dec18", "dec38"] },
  { name: "nested", kek: NESTED, columns: ["list", "st", "mp"] },
];
const ROW_GROUPS = ", row_group_size 2048";

type Case = { readonly sealed: string; readonly plain: string };

async function sealTypes(
  folder: Folder,
  options: { readonly name: string; readonly groups: typeof GROUPS; readonly write: string },
): Promise<Case> {
  const { name, groups, write } = options;
  const plain = folder.path(`${name}.parquet`);
  await writeParquet(plain, TYPES_SQL, write);
  const { manifest } = await sealTestDataset({
    folder: folder.path(name),
    name,
    datasetId: "0123456789abcdef0123456789abcdef",
    groups,
    inputs: [fileInput(plain, "types.parquet")],
  });
  return { sealed: folder.path(`${name}/${manifest.files[0]?.name}`), plain };
}

function pyarrow(
  folder: Folder,
  command: { readonly name: "read" | "write"; readonly keks: readonly TestKek[] },
  cases: readonly object[],
): unknown[] {
  const file = folder.write("cases.json", JSON.stringify(cases));
  const outcomes = python("tables.py", command.name, writeKeks(folder, command.keks), file);
  assert.ok(Array.isArray(outcomes));
  return outcomes;
}

test("pyarrow reads what we sealed: all types, uniform and with column groups", async () => {
  using folder = makeFolder();
  const v2 = `${ROW_GROUPS}, parquet_version v2, compression zstd`;
  const cases = [
    await sealTypes(folder, { name: "uniform", groups: GROUPS.slice(0, 1), write: ROW_GROUPS }),
    await sealTypes(folder, { name: "grouped", groups: GROUPS, write: ROW_GROUPS }),
    await sealTypes(folder, { name: "grouped2", groups: GROUPS, write: v2 }),
  ];
  for (const outcome of pyarrow(folder, { name: "read", keks: [REST, MONEY, NESTED] }, cases)) {
    const each = Object.entries(outcome as Record<string, string>);
    assert.ok(each.length > 30);
    for (const [column, result] of each) assert.equal(result, "equal", column);
  }
});

test("pyarrow refuses the columns whose KEK is missing and reads the others", async () => {
  using folder = makeFolder();
  const cases = [await sealTypes(folder, { name: "some", groups: GROUPS, write: ROW_GROUPS })];
  const [outcome] = pyarrow(folder, { name: "read", keks: [REST, MONEY] }, cases);
  const refused = Object.entries(outcome as Record<string, string>)
    .filter(([, result]) => result !== "equal")
    .map(([column, result]) => [column, result.slice(0, 8)]);
  assert.deepEqual(
    refused,
    ["list", "st", "mp", "*"].map((column) => [column, "refused:"]),
  );
});

const COLUMN_KEYS = {
  [MONEY.publicKey.kekId]: ["m", "d"],
  [NESTED.publicKey.kekId]: ["l.list.element"],
};
const SMALL_PAGES = { row_group_size: 1000, data_page_size: 800, write_batch_size: 100 };
const V1 = { ...SMALL_PAGES, write_page_index: true };
const V2 = { ...V1, data_page_version: "2.0", compression: "zstd", use_dictionary: false };
const WRITTEN: Readonly<Record<string, readonly [encryption: object, options: object]>> = {
  "uniform, double-wrapped, v1": [{ uniform_encryption: true }, V1],
  "uniform, single-wrapped, v2, plain": [{ uniform_encryption: true, double_wrapping: false }, V2],
  "uniform, 256 bits": [{ uniform_encryption: true, data_key_length_bits: 256 }, V1],
  "column keys, v1": [{ column_keys: COLUMN_KEYS }, SMALL_PAGES],
  "column keys, 256 bits, v2": [{ column_keys: COLUMN_KEYS, data_key_length_bits: 256 }, V2],
  "column keys, single-wrapped": [{ column_keys: COLUMN_KEYS, double_wrapping: false }, V1],
  "plaintext footer, column keys": [{ column_keys: COLUMN_KEYS, plaintext_footer: true }, V2],
  AES_GCM_CTR_V1: [{ uniform_encryption: true, encryption_algorithm: "AES_GCM_CTR_V1" }, V1],
  "AES_GCM_CTR_V1, column keys, v2": [
    { column_keys: COLUMN_KEYS, encryption_algorithm: "AES_GCM_CTR_V1" },
    V2,
  ],
};

test("we open what pyarrow encrypted, and DuckDB reads equal values from it", async () => {
  using folder = makeFolder();
  await using duck = await startDuck();
  const plain = await duck.parquet(
    `select i, case when i % 11 = 0 then null else 'name ' || (i % 50) end as s,
      (i / 100)::decimal(12,2) as m, i / 7 as d, [i, i + 1] as l,
      timestamp '2020-01-01' + interval (i) minute as ts from range(5000) t(i)`,
  );
  const source = folder.write("plain.parquet", plain);
  const cases = Object.values(WRITTEN).map(([encryption, options], index) => ({
    plain: source,
    sealed: folder.path(`${index}.parquet`),
    encryption: {
      footer_key: REST.publicKey.kekId,
      encryption_algorithm: "AES_GCM_V1",
      ...encryption,
    },
    options,
  }));
  const keks = [REST, MONEY, NESTED];
  pyarrow(folder, { name: "write", keks }, cases);
  const query = "select * from '$file'";
  const expected = await duck.rows(plain, query);
  for (const [index, name] of Object.keys(WRITTEN).entries()) {
    const sealed = new Uint8Array(readFileSync(cases[index]?.sealed ?? ""));
    const options = { keyFor: keysUnder(keks), unauthenticated: "accept" as const };
    assert.equal(await duck.rows(await decryptBytes(sealed, options), query), expected, name);
  }
});
