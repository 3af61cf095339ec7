import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { makeScratch } from "../compute/fixture.ts";
import { filesWith, makeTestProject } from "./project.ts";
import type { TestProject } from "./project.ts";

const IN_DATA = "CANARY-IN-THE-COLUMN-";
const IN_SQL = "CANARY-IN-THE-QUERY";
const IN_RESULT = "CANARY-MADE-BY-THE-JOB";
// Spelled in two parts, so that only the result holds it whole.
const SQL = `SELECT note, '${IN_RESULT.slice(0, 9)}' || '${IN_RESULT.slice(9)}' AS made, '${IN_SQL}' AS said FROM people ORDER BY note LIMIT 3`;

const scratch = makeScratch();
let project: TestProject;
let shared: readonly string[] = [];
before(async () => {
  shared = readdirSync("/dev/shm");
  project = await makeTestProject({ folder: scratch.path, canary: IN_DATA, sql: SQL });
});
after(() => {
  scratch[Symbol.dispose]();
});

test("the search finds the canaries where they are in the clear", () => {
  const { root } = project;
  assert.deepEqual(filesWith(root, IN_DATA), [join(root, "data", "people.parquet")]);
  assert.deepEqual(filesWith(root, IN_SQL), [join(root, "queries", "answer.sql")]);
});

test("no file that a run writes holds a value of the data, of the query or of the result", () => {
  project.must("run", "answer");
  const opened = project.must("data", "open", "answers", "--json");
  assert.ok(opened.stdout.includes(IN_RESULT));
  const clear = new Set(["data/people.parquet", "queries/answer.sql"]);
  for (const text of [IN_DATA, IN_SQL, IN_RESULT])
    for (const folder of [project.root, project.temporary]) {
      const found = filesWith(folder, text)
        .map((path) => relative(project.root, path))
        .filter((path) => !clear.has(path));
      assert.deepEqual(found, [], text);
    }
});

test("a run leaves nothing in shared memory or in the folder for temporary files", async () => {
  // Other tests run workers at the same time: what is there now has to go within a minute.
  const now = readdirSync("/dev/shm").filter(
    (name) => name.startsWith("ppml-") && !shared.includes(name),
  );
  let left = now;
  for (let tries = 0; tries < 60 && left.length > 0; tries += 1) {
    await setTimeout(1000);
    const present = new Set(readdirSync("/dev/shm"));
    left = left.filter((name) => present.has(name));
  }
  assert.deepEqual(left, []);
  assert.deepEqual(
    readdirSync(project.temporary).filter((name) => name.startsWith("ppml-")),
    [],
  );
});

test("what a run says on its way quotes neither data nor query", () => {
  const { stdout, stderr } = project.must("run", "answer");
  for (const text of [IN_DATA, IN_SQL, IN_RESULT])
    assert.equal(`${stdout}${stderr}`.includes(text), false, text);
});
