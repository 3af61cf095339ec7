import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { makeScratch } from "../compute/fixture.ts";
import { makeTestProject } from "./project.ts";

const CANARY = "CANARY-seen-nowhere-";
const scratch = makeScratch();
after(() => {
  scratch[Symbol.dispose]();
});

const project = await makeTestProject({
  folder: scratch.path,
  canary: CANARY,
  sql: "SELECT count(*) AS people FROM people",
});
const at = (...parts: readonly string[]): string => join(project.root, ...parts);
const yaml = readFileSync(at("ppml.yaml"), "utf8");
writeFileSync(
  at("ppml.yaml"),
  yaml.replace("code: queries/answer.sql", "code: [queries/answer.sql, queries/longest.sql]"),
);
const LONGEST = "SELECT id, length(note) AS n FROM people ORDER BY n DESC, id LIMIT 3";
const longest = at("queries", "longest.sql");
writeFileSync(longest, LONGEST);
await approve();

async function approve(): Promise<void> {
  await project.mustHere("job", "sign", "answer");
  await project.mustHere("policy", "draft", "analysis", "--force");
  await project.mustHere("policy", "apply", "analysis");
}

const storedTables = (): string[] =>
  existsSync(at("sealed/answers"))
    ? readdirSync(at("sealed/answers"), { recursive: true })
        .map(String)
        .filter((name) => name.endsWith(".parquet"))
        .sort()
    : [];

test("a job of two queries gives one dataset of two tables, with one receipt over both", async () => {
  const run = JSON.parse(project.must("run", "answer", "--json").stdout) as {
    rows: number;
    results: { name: string; rows: number }[];
    receipt: string;
  };
  assert.deepEqual(
    run.results.map(({ name, rows }) => [name, rows]),
    [
      ["answer", 1],
      ["longest", 3],
    ],
  );
  assert.equal(run.rows, 4);
  const names = storedTables();
  assert.equal(names.length, 2);
  assert.match(
    names.join(" "),
    /^v1\/answer-[0-9a-f]{8}\.parquet v1\/longest-[0-9a-f]{8}\.parquet$/,
  );
  await project.mustHere("receipt", "verify", run.receipt, "--policy", "analysis");
  await project.mustHere("data", "verify", "answers");

  const opened = JSON.parse(
    (await project.mustHere("data", "open", "answers", "--json")).stdout,
  ) as {
    tables: { name: string; schema: { name: string }[]; rows: string[][] }[];
  };
  assert.deepEqual(
    opened.tables.map(({ name, schema, rows }) => [name, schema.map((one) => one.name), rows[0]]),
    [
      ["answer", ["people"], ["5000"]],
      ["longest", ["id", "n"], ["1000", String(CANARY.length + 4)]],
    ],
  );
  const shown = (await project.mustHere("data", "open", "answers", "--table", "longest")).stdout;
  assert.match(shown, /longest: 3 of 3 rows/);
  assert.doesNotMatch(shown, /people/);
  const none = await project.runHere("data", "open", "answers", "--table", "nosuch");
  assert.equal(none.status, 2);
  assert.match(none.stderr, /has no table nosuch; it has answer, longest/);

  await project.mustHere("data", "open", "answers", "--out", "plain");
  assert.deepEqual(readdirSync(at("plain")).sort(), ["answer.parquet", "longest.parquet"]);
  const engine = await DuckDBInstance.create(":memory:");
  const connection = await engine.connect();
  const rows = await connection.runAndReadAll(`FROM '${at("plain", "answer.parquet")}'`);
  assert.deepEqual(rows.getRowsJson(), [["5000"]]);
  connection.closeSync();
  engine.closeSync();
});

test("the signed job names each query, and the host cannot swap them", async () => {
  const shown = JSON.parse((await project.mustHere("job", "show", "answer", "--json")).stdout) as {
    job: { code: { name: string }[] };
  };
  assert.deepEqual(
    shown.job.code.map(({ name }) => name),
    ["answer", "longest"],
  );
  const signed = readFileSync(at("ppml.yaml"), "utf8");
  writeFileSync(
    at("ppml.yaml"),
    signed.replace("answer.sql, queries/longest.sql", "longest.sql, queries/answer.sql"),
  );
  const swapped = await project.runHere("run", "answer");
  writeFileSync(at("ppml.yaml"), signed);
  assert.equal(swapped.status, 1);
  assert.match(swapped.stderr, /the query answer is not the one that was signed[\s\S]*launch\.job/);
});

test("T161: a job with one approved and one other query gets no key", async () => {
  writeFileSync(longest, `${LONGEST} -- changed`);
  await project.mustHere("job", "sign", "answer");
  const before = storedTables();
  const refused = await project.runHere("run", "answer");
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /longest has the digest[\s\S]*release\.job/);
  assert.deepEqual(storedTables(), before);
  writeFileSync(longest, LONGEST);
  await project.mustHere("job", "sign", "answer");
});

test("T162: where a later query fails over the data, no result of the job is left, and the old one stands", async () => {
  const before = storedTables();
  writeFileSync(longest, "SELECT note::INTEGER AS n FROM people");
  await approve();
  const failed = await project.runHere("run", "answer");
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /query longest: [\s\S]*compute\.sql/);
  assert.doesNotMatch(failed.stderr, /CANARY/);
  assert.deepEqual(storedTables(), before);
  assert.match((await project.mustHere("data", "open", "answers")).stdout, /answers v1: 2 tables/);
  writeFileSync(longest, LONGEST);
  await approve();
});

test("the results of several queries are no one table that another job could read", async () => {
  const own = readFileSync(at("ppml.yaml"), "utf8");
  const next = `
  next:
    engine: sql
    code: queries/answer.sql
    policy: analysis
    purpose: a test
    inputs: { people: { dataset: answers } }
    output: later
`;
  writeFileSync(
    at("ppml.yaml"),
    `${own.replace("policies:", "  later:\n    store: sealed/later\n    groups: [{ name: all, kek: results }]\npolicies:")}${next}`,
  );
  const refused = await project.runHere("job", "sign", "next");
  writeFileSync(at("ppml.yaml"), own);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /answers holds the results of 2 queries[\s\S]*launch\.job/);
});
