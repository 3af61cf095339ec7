import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  fileInput,
  makeScratch,
  makeTestKek,
  runQueries,
  runQuery,
  sealTestDataset,
  writeParquet,
} from "../fixture.ts";

const scratch = makeScratch();
after(() => {
  scratch[Symbol.dispose]();
});
const kek = makeTestKek("test/all");
const groups = [{ name: "all", kek, columns: null }];

async function sealed(name: string, sql: string, options: string) {
  const path = join(scratch.path, `${name}.parquet`);
  await writeParquet(path, sql, options);
  return await sealTestDataset({
    folder: join(scratch.path, name),
    name,
    datasetId: Buffer.from(name.padEnd(16, "-")).toString("hex"),
    groups,
    inputs: [fileInput(path, `${name}.parquet`)],
  });
}

// Five row groups of 10,000 rows.
const people = await sealed(
  "people",
  "SELECT i AS id, i % 7 AS team, (i * 31) % 1000 AS salary, 'name-' || i AS name FROM range(50000) t(i)",
  ", ROW_GROUP_SIZE 10000",
);
// 32 MB each that do not compress: two of them do not fit into the 48 MiB of a job of 96 MiB.
const HEAVY = "SELECT hash(i) AS h, hash(i + 1) AS g FROM range(2000000) t(i)";
const left = await sealed(
  "left_half",
  HEAVY,
  ", COMPRESSION uncompressed, DICTIONARY_SIZE_LIMIT 1",
);
const right = await sealed(
  "right_half",
  HEAVY,
  ", COMPRESSION uncompressed, DICTIONARY_SIZE_LIMIT 1",
);
const teamsPath = join(scratch.path, "teams.csv");
writeFileSync(teamsPath, "team,title\n0,zero\n1,one\n2,two\n3,three\n4,four\n5,five\n6,six\n");
const teams = await sealTestDataset({
  folder: join(scratch.path, "teams"),
  name: "teams",
  datasetId: "ff".repeat(16),
  groups,
  inputs: [fileInput(teamsPath, "teams.csv")],
});
const PEOPLE = { dataset: people, columns: null };
const TEAMS = { dataset: teams, columns: null };

const QUERIES = [
  "SELECT count(*) FROM people WHERE id < 5000",
  "SELECT title, sum(salary) AS s FROM people JOIN teams USING (team) WHERE id >= 45000 GROUP BY title ORDER BY title",
  "SELECT max(title) FROM teams",
];

test("queries of one task give what each gives alone, over inputs that are opened once", async () => {
  const inputs = [PEOPLE, TEAMS];
  const { results, opened } = await runQueries({ queries: QUERIES, inputs, keks: [kek] });
  for (const [at, sql] of QUERIES.entries()) {
    const alone = await runQuery({ sql, inputs, keks: [kek], here: true });
    assert.deepEqual(results[at]?.preview, alone.preview, sql);
    assert.deepEqual(results[at]?.schema, alone.schema, sql);
  }
  assert.deepEqual(
    opened.map(({ name, columns, rowGroupsOpened }) => [name, columns.toSorted(), rowGroupsOpened]),
    // The first and the last of five row groups, and the columns of both queries.
    [["people", ["id", "salary", "team"], 2]],
  );
});

test("a row group that one query leaves out is there for the query that needs it", async () => {
  const queries = [
    "SELECT count(*) FROM people WHERE id = 7",
    "SELECT count(*), min(id), max(id) FROM people",
    "SELECT count(*) FROM people WHERE id = 49999",
  ];
  const { results, opened } = await runQueries({ queries, inputs: [PEOPLE], keks: [kek] });
  assert.deepEqual(
    results.map(({ preview }) => preview),
    [[["1"]], [["50000", "0", "49999"]], [["1"]]],
  );
  assert.equal(opened[0]?.rowGroupsOpened, 5);
});

test("an input that no query reads is not opened", async () => {
  const inputs = [PEOPLE, { dataset: left, columns: null }];
  const { opened } = await runQueries({
    queries: ["SELECT 1", QUERIES[0] ?? ""],
    inputs,
    keks: [kek],
    here: true,
  });
  assert.deepEqual(
    opened.map(({ name, rowGroupsOpened, bytesOpened }) => [
      name,
      rowGroupsOpened,
      bytesOpened > 0,
    ]),
    [
      ["people", 1, true],
      ["left_half", 0, false],
    ],
  );
});

test("a query that only asks for an input's columns keeps it to its end", async () => {
  const queries = [
    "SELECT count(*) FROM people",
    "SELECT column_name FROM (DESCRIBE PEOPLE) ORDER BY column_name",
  ];
  const { results } = await runQueries({ queries, inputs: [PEOPLE], keks: [kek], here: true });
  assert.deepEqual(results[1]?.preview, [["id"], ["name"], ["salary"], ["team"]]);
});

const sum = (name: string): string => `SELECT count(*), bit_xor(h), bit_xor(g) FROM ${name}`;

test("what no later query needs is given back: inputs that do not fit together fit one after the other", async () => {
  const inputs = [left, right].map((dataset) => ({ dataset, columns: null }));
  const run = { inputs, keks: [kek], settings: { memoryMiB: 96, threads: 1 } };
  const { results } = await runQueries({ ...run, queries: [sum("left_half"), sum("right_half")] });
  assert.equal(results[0]?.preview?.[0]?.[0], "2000000");
  assert.deepEqual(results[0].preview, results[1]?.preview);
  await assert.rejects(
    runQueries({
      ...run,
      queries: [`${sum("left_half")} UNION ALL ${sum("right_half")}`],
    }),
    { code: "compute.memory" },
  );
});

test("each result is sealed by a key of its own", async () => {
  const resultKek = makeTestKek("test/results");
  const queries = ["SELECT 'CANARY-a' AS w", "SELECT 'CANARY-b' AS w UNION ALL SELECT 'x'"];
  const { results, outputs } = await runQueries({
    queries,
    inputs: [PEOPLE],
    keks: [kek],
    resultKek,
  });
  assert.deepEqual(
    results.map(({ name, rows }) => [name, rows]),
    [
      ["q0", 1],
      ["q1", 2],
    ],
  );
  for (const [at, output] of outputs.entries()) {
    assert.equal(Buffer.from(output.subarray(0, 4)).toString(), "PARE");
    assert.equal(output.byteLength, results[at]?.sealed?.length);
    assert.equal(Buffer.from(output).includes("CANARY"), false);
  }
  assert.notEqual(results[0]?.sealed?.fileId, results[1]?.sealed?.fileId);
});

for (const [what, sql, code, said] of [
  ["does not parse", "SELEC 1", "compute.sql", /^query q1: the query does not parse/],
  ["is no query", "DROP VIEW people", "compute.not_a_query", /^query q1: expected exactly one/],
  ["names no such column", "SELECT nope FROM people", "compute.sql", /^query q1: .*does not bind/],
  [
    "fails over the data",
    "SELECT name::INTEGER FROM people",
    "compute.sql",
    /^query q1: .*withheld/,
  ],
] as const)
  test(`an error names the query that ${what}, and no value`, async () => {
    await assert.rejects(
      runQueries({
        queries: ["SELECT count(*) FROM people", sql],
        inputs: [PEOPLE],
        keks: [kek],
        // What fails over opened data does so in a worker of its own.
        here: !sql.includes("name::"),
      }),
      (error: Error & { code: string; detail: { query?: string } }) => {
        assert.equal(error.code, code);
        assert.match(error.message, said);
        assert.equal(error.detail.query, "q1");
        assert.doesNotMatch(error.message, /name-\d/);
        return true;
      },
    );
  });

test("the time limit is the whole task's, and its error names the query that ran", async () => {
  await assert.rejects(
    runQueries({
      queries: [
        "SELECT 1",
        "SELECT count(*) FROM range(100000000000) a(i), range(10) b(j) WHERE hash(i) % 7 = j",
        "SELECT 2",
      ],
      inputs: [PEOPLE],
      keks: [kek],
      // Time for the worker's start on a busy machine too.
      settings: { timeoutSeconds: 4, threads: 1 },
    }),
    { code: "compute.timeout", message: /^query q1: the job ran longer than its 4 s/ },
  );
});
