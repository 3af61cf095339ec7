import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { PpmlError } from "../../../src/base/index.ts";
import {
  fileInput,
  makeScratch,
  makeTestKek,
  runQuery,
  sealTestDataset,
  writeParquet,
} from "../fixture.ts";

const scratch = makeScratch();
after(() => {
  scratch[Symbol.dispose]();
});
const ordinary = makeTestKek("test/ordinary");
const sensitive = makeTestKek("test/sensitive");

const plainPath = join(scratch.path, "people.parquet");
await writeParquet(
  plainPath,
  "SELECT i AS id, 'name-' || i AS name, i % 7 AS team, (i * 31) % 1000 AS salary, DATE '2020-01-01' + (i // 100)::INT AS day FROM range(50000) t(i)",
  ", ROW_GROUP_SIZE 10000",
);
const people = await sealTestDataset({
  folder: join(scratch.path, "people"),
  name: "people",
  datasetId: "00112233445566778899aabbccddeeff",
  groups: [
    { name: "ordinary", kek: ordinary, columns: null },
    { name: "sensitive", kek: sensitive, columns: ["salary"] },
  ],
  inputs: [fileInput(plainPath, "people.parquet")],
});
const teamsPath = join(scratch.path, "teams.csv");
writeFileSync(teamsPath, "team,title\n0,zero\n1,one\n2,two\n3,three\n4,four\n5,five\n6,six\n");
const teams = await sealTestDataset({
  folder: join(scratch.path, "teams"),
  name: "teams",
  datasetId: "ffeeddccbbaa99887766554433221100",
  groups: [{ name: "all", kek: ordinary, columns: null }],
  inputs: [fileInput(teamsPath, "teams.csv")],
});

const COLUMNS = ["id", "name", "team", "day", "salary"];

test("a column opens where the job lists it, and the first of its group not", async () => {
  const dataset = await sealTestDataset({
    folder: join(scratch.path, "grouped"),
    name: "grouped",
    datasetId: "0123456789abcdef0123456789abcdef",
    groups: [
      { name: "ordinary", kek: ordinary, columns: null },
      { name: "sensitive", kek: sensitive, columns: ["id", "salary"] },
    ],
    inputs: [fileInput(plainPath, "people.parquet")],
  });
  const { preview } = await runQuery({
    sql: "SELECT max(salary), count(day) FROM grouped",
    inputs: [{ dataset, columns: ["day", "salary"] }],
    keks: [ordinary, sensitive],
  });
  assert.deepEqual(preview, [["999", "50000"]]);
});

test("a join, a group and a window over a sealed table and a sealed file give the right rows", async () => {
  const result = await runQuery({
    sql: "SELECT title, count(*) n, sum(salary) s, rank() OVER (ORDER BY sum(salary) DESC) r FROM people JOIN teams USING (team) GROUP BY title ORDER BY r LIMIT 2",
    inputs: [
      { dataset: people, columns: COLUMNS },
      { dataset: teams, columns: null },
    ],
    keks: [ordinary, sensitive],
  });
  assert.equal(result.preview?.length, 2);
  assert.equal(result.preview[0]?.[3], "1");
  assert.deepEqual(result.opened[0]?.columns.toSorted(), ["salary", "team"]);
});

for (const inherits of [true, false])
  test(`a worker that inherits ${inherits ? "its files asks for no byte" : "no file asks for its bytes"}`, async () => {
    let reads = 0;
    const result = await runQuery({
      sql: "SELECT title, sum(salary) FROM people JOIN teams USING (team) GROUP BY title ORDER BY title",
      inputs: [
        { dataset: people, columns: COLUMNS },
        { dataset: teams, columns: null },
      ],
      keks: [ordinary, sensitive],
      inherits,
      onRead: () => {
        reads += 1;
      },
    });
    assert.equal(result.preview?.length, 7);
    assert.deepEqual(result.preview[0], ["five", "3567866"]);
    assert.equal(reads === 0, inherits, `${reads} ranges were asked for`);
  });

for (const name of ["tables", "order", "select", "team-2026", "main"])
  test(`a dataset may be called ${name}, a word of the engine or with a hyphen`, async () => {
    const result = await runQuery({
      sql: `SELECT sum(team) AS teams FROM "${name}" WHERE id < 7`,
      inputs: [{ dataset: { ...people, name }, columns: COLUMNS }],
      keks: [ordinary],
      here: true,
    });
    assert.deepEqual(result.preview, [["21"]]);
    assert.deepEqual(result.opened[0]?.columns.toSorted(), ["id", "team"]);
    assert.equal(result.opened[0]?.rowGroupsOpened, 1);
  });

test("columns that the query does not need are not decrypted", async () => {
  const result = await runQuery({
    sql: "SELECT count(*), min(day) FROM people",
    inputs: [{ dataset: people, columns: COLUMNS }],
    keks: [ordinary],
  });
  assert.deepEqual(result.opened[0]?.columns, ["day"]);
  assert.deepEqual(result.preview, [["50000", "2020-01-01"]]);
});

test("row groups whose statistics exclude the filter are not decrypted", async () => {
  const result = await runQuery({
    sql: "SELECT count(*) FROM people WHERE day >= DATE '2021-03-01' AND id < 45000",
    inputs: [{ dataset: people, columns: COLUMNS }],
    keks: [ordinary],
  });
  const [opened] = result.opened;
  assert.ok(
    opened !== undefined && opened.rowGroupsOpened < opened.rowGroups,
    JSON.stringify(opened),
  );
  assert.deepEqual(result.preview, [["2500"]]);
});

const half = (from: number): string =>
  `SELECT i - 5000 AS n, (i // 100)::UTINYINT AS u, (i * 1.25)::DECIMAL(30,2) AS wide, (i / 8)::DECIMAL(9,3) AS d, TIMESTAMP '2020-01-01' + to_seconds(i) AS t, DATE '1960-01-01' + i::INT AS day, i::DOUBLE AS f, i::VARCHAR AS s FROM range(${from}, ${from + 5000}) r(i)`;
const halves = [];
for (const from of [0, 5000]) {
  const path = join(scratch.path, `half-${from}.parquet`);
  // 2,048 rows are the engine's smallest row group: three a file.
  await writeParquet(path, half(from), ", ROW_GROUP_SIZE 2048");
  halves.push(fileInput(path, `half-${from}.parquet`));
}
const numbers = await sealTestDataset({
  folder: join(scratch.path, "numbers"),
  name: "numbers",
  datasetId: "0123456789abcdef0123456789abcdef",
  groups: [{ name: "all", kek: ordinary, columns: null }],
  inputs: halves,
});

for (const [condition, rows, groups] of [
  ["n = 4000", 1, 1],
  ["n < -4990", 10, 1],
  ["n >= 4999", 1, 1],
  ["n > 4999", 0, 0],
  ["u = 75", 100, 1],
  ["wide > 12490", 7, 1],
  ["d <= 0.5", 5, 1],
  ["t >= TIMESTAMP '2020-01-01 02:46:30'", 10, 1],
  ["day < DATE '1960-01-03'", 2, 1],
  ["day < DATE '1960-01-03' AND n = 4000", 0, 0],
  ["f = 9000", 1, 6],
  ["s = '9000'", 1, 6],
  ["n = 4000 OR n = -4000", 2, 6],
] as const)
  test(`of six row groups in two files, ${groups} are decrypted for: ${condition}`, async () => {
    const result = await runQuery({
      sql: `SELECT count(*) FROM numbers WHERE ${condition}`,
      inputs: [{ dataset: numbers, columns: null }],
      keks: [ordinary],
      here: true,
    });
    assert.deepEqual(result.preview, [[String(rows)]]);
    assert.equal(result.opened[0]?.rowGroups, 6);
    assert.equal(result.opened[0].rowGroupsOpened, groups);
  });

test("a column whose group was not released cannot be opened, whatever the query says", async () => {
  await assert.rejects(
    runQuery({
      sql: "SELECT sum(salary) FROM people",
      inputs: [{ dataset: people, columns: COLUMNS }],
      keks: [ordinary],
    }),
    { code: "open.no_key" },
  );
});

test("a column that the job does not list does not exist for the query", async () => {
  await assert.rejects(
    runQuery({
      sql: "SELECT salary FROM people",
      inputs: [{ dataset: people, columns: ["id", "name"] }],
      keks: [ordinary, sensitive],
    }),
    { code: "compute.sql", message: /salary/ },
  );
});

for (const [sql, code] of [
  ["SELECT 1; SELECT 2", "compute.not_a_query"],
  ["", "compute.not_a_query"],
  ["-- nothing", "compute.not_a_query"],
  ["DROP VIEW people", "compute.not_a_query"],
  ["COPY (SELECT 1) TO '/tmp/out.csv'", "compute.sql"],
  ["SELECT * FROM read_csv('/etc/passwd')", "compute.sql"],
  ["SELECT * FROM read_text('/proc/self/environ')", "compute.sql"],
  ["SELECT * FROM glob('/proc/self/fd/*')", "compute.sql"],
  ["SELECT * FROM people) TO '/tmp/x' --", "compute.sql"],
  ["SELECT nonsense FROM people", "compute.sql"],
  ["SELECT * FROM 'https://example.invalid/x.parquet'", "compute.sql"],
  ["INSTALL httpfs", "compute.not_a_query"],
  ["SET threads = 1", "compute.not_a_query"],
  ["PRAGMA enable_object_cache", "compute.not_a_query"],
  ["not sql", "compute.sql"],
] as const)
  test(`the engine refuses: ${sql}`, async () => {
    await assert.rejects(
      runQuery({
        sql,
        inputs: [{ dataset: people, columns: COLUMNS }],
        keks: [ordinary, sensitive],
        // What reaches for files is refused in a real worker, with its environment and descriptors.
        here: !/'(?:\/|https)/.test(sql),
      }),
      { code },
    );
  });

test("an engine error over opened data is told without its message, which may quote data", async () => {
  await assert.rejects(
    runQuery({
      sql: "SELECT name::INTEGER FROM people",
      inputs: [{ dataset: people, columns: COLUMNS }],
      keks: [ordinary],
    }),
    (error: Error) => {
      assert.equal((error as Error & { code: string }).code, "compute.sql");
      assert.match(error.message, /Conversion Error/);
      assert.doesNotMatch(error.message, /name-\d/);
      return true;
    },
  );
});

test("a job that passes its time limit is ended", async () => {
  await assert.rejects(
    runQuery({
      sql: "SELECT count(*) FROM range(100000000000) a(i), range(10) b(j) WHERE hash(i) % 7 = j",
      inputs: [{ dataset: people, columns: COLUMNS }],
      keks: [ordinary],
      settings: { timeoutSeconds: 2 },
    }),
    { code: "compute.timeout" },
  );
});

test("a store that fails in mid-read ends the job with its own error", async () => {
  let reads = 0;
  await assert.rejects(
    runQuery({
      sql: "SELECT sum(team) FROM people",
      inputs: [{ dataset: people, columns: COLUMNS }],
      keks: [ordinary],
      inherits: false,
      onRead: () => {
        if ((reads += 1) > 2) throw new PpmlError("store.io", "the store went away");
      },
    }),
    { code: "store.io", message: /the store went away/ },
  );
});

test("a store that never takes a result does not outlast the job's time limit", async () => {
  await assert.rejects(
    runQuery({
      sql: "SELECT 1 AS one",
      inputs: [],
      keks: [],
      resultKek: ordinary,
      settings: { timeoutSeconds: 1 },
      onOutput: () => new Promise<never>(() => undefined),
    }),
    { code: "compute.timeout" },
  );
});

test("a job that passes its memory limit is ended", async () => {
  await assert.rejects(
    runQuery({
      sql: "SELECT list(repeat(i::VARCHAR, 100)) FROM range(30000000) t(i)",
      inputs: [{ dataset: people, columns: COLUMNS }],
      keks: [ordinary],
      settings: { memoryMiB: 128 },
    }),
    { code: "compute.memory" },
  );
});

test("a result is sealed under the result's KEK and holds no plaintext", async () => {
  const resultKek = makeTestKek("test/results");
  const result = await runQuery({
    sql: "SELECT 'CANARY-in-the-result' AS word, count(*) AS n FROM people",
    inputs: [{ dataset: people, columns: COLUMNS }],
    keks: [ordinary],
    resultKek,
  });
  assert.equal(result.rows, 1);
  assert.equal(result.sealed?.length, result.output.byteLength);
  assert.equal(Buffer.from(result.output.subarray(0, 4)).toString(), "PARE");
  assert.equal(Buffer.from(result.output).includes("CANARY"), false);
});
