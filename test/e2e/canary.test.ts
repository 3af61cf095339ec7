import assert from "node:assert/strict";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { makeScratch } from "../compute/fixture.ts";
import { filesBelow, filesWith, makeTestProject } from "./project.ts";
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
  // For the commands that run in this process, which are searched after too.
  process.env["TMPDIR"] = project.temporary;
});
after(() => {
  scratch[Symbol.dispose]();
});

test("the search finds the canaries where they are in the clear", () => {
  const { root } = project;
  assert.deepEqual(filesWith(root, IN_DATA), [join(root, "data", "people.parquet")]);
  assert.deepEqual(filesWith(root, IN_SQL), [join(root, "queries", "answer.sql")]);
});

test("the search finds a canary in any encoding that a log or a database might use", () => {
  const folder = join(project.temporary, "encodings");
  mkdirSync(folder);
  for (const [index, text] of [
    IN_DATA,
    Buffer.from(`a${IN_DATA}b`).toString("base64"),
    Buffer.from(`ab${IN_DATA}`).toString("base64"),
    Buffer.from(`xyz${IN_DATA}`).toString("base64"),
    Buffer.from(IN_DATA).toString("hex"),
  ].entries())
    writeFileSync(join(folder, String(index)), `before ${text} after`);
  writeFileSync(join(folder, "5"), Buffer.from(IN_DATA, "utf16le"));
  assert.equal(filesWith(folder, IN_DATA).length, 6);
  rmSync(folder, { recursive: true });
});

/** That no file of the project or for temporary files holds a canary, but the owner's own two. */
function assertNoneInTheClear(): void {
  const clear = new Set(["data/people.parquet", "queries/answer.sql"]);
  for (const text of [IN_DATA, IN_SQL, IN_RESULT])
    for (const folder of [project.root, project.temporary]) {
      const found = filesWith(folder, text)
        .map((path) => relative(project.root, path))
        .filter((path) => !clear.has(path));
      assert.deepEqual(found, [], text);
    }
}

test("no file that a run writes holds a value of the data, of the query or of the result", () => {
  project.must("run", "answer");
  const opened = project.must("data", "open", "answers", "--json");
  assert.ok(opened.stdout.includes(IN_RESULT));
  const files = filesBelow(project.root).map((path) => relative(project.root, path));
  for (const kind of [
    /broker\.db$/,
    /vault/,
    /sealed\/answers\/v1\/answer-[0-9a-f]{8}\.parquet$/,
    /sealed\/answers\/manifest\.json$/,
    /sealed\/answers\/receipt\.json$/,
    /sealed\/people\/v1\/people\.parquet$/,
  ])
    assert.ok(
      files.some((path) => kind.test(path)),
      `nothing like ${String(kind)} was searched`,
    );
  assertNoneInTheClear();
});

test("the same search finds the values where the owner writes the opened data out", () => {
  const out = join(project.temporary, "opened");
  project.must("data", "open", "answers", "--out", out);
  for (const text of [IN_DATA, IN_RESULT, IN_SQL])
    assert.equal(filesWith(out, text).length, 1, text);
  rmSync(out, { recursive: true });
});

async function approve(): Promise<void> {
  for (const line of ["job sign answer", "policy draft analysis --force", "policy apply"])
    await project.mustHere(...line.split(" "));
}

test("a run that fails over opened data leaves no value in the clear either", async () => {
  const path = join(project.root, "queries", "answer.sql");
  writeFileSync(path, SQL.replace("note,", "note::INTEGER,"));
  await approve();
  const failed = project.run("run", "answer");
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /compute\.sql/);
  for (const text of [IN_DATA, IN_RESULT])
    assert.equal(`${failed.stdout}${failed.stderr}`.includes(text), false, text);
  assertNoneInTheClear();
  writeFileSync(path, SQL);
  await approve();
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
