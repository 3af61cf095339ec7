import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeScratch } from "../../../compute/fixture.ts";
import { makeTestProject } from "../../../e2e/project.ts";
import type { TestProject } from "../../../e2e/project.ts";

const scratch = makeScratch();
let project: TestProject;
before(async () => {
  const sql = "SELECT count(*) AS n FROM people";
  project = await makeTestProject({ folder: scratch.path, canary: "x", sql });
  await project.mustHere("run", "answer");
  for (const name of ["ordinary", "results"]) await project.mustHere("key", "rotate", name);
});
after(() => {
  scratch[Symbol.dispose]();
});

const manifest = () => readFileSync(join(project.root, "sealed/answers/manifest.json"), "utf8");

test("a result that is named is refused with the reason and what to do, and is not touched", async () => {
  const was = manifest();
  const run = await project.runHere("data", "rewrap", "answers");
  assert.equal(run.status, 1);
  assert.match(
    run.stderr,
    /answers is a result, not re-wrapped: its manifest is signed by the TEE/,
  );
  assert.match(run.stderr, /code: {2}key\.not_permitted/);
  assert.match(
    run.stderr,
    /try: .*keep the old version of its KEK enabled.*ppml job sign.*ppml run/,
  );
  assert.equal(manifest(), was);
});

test("re-wrapping all says which results stay; a table becomes a file of the new version", async () => {
  const run = await project.mustHere("data", "rewrap", "--json");
  const { rewrapped, results } = JSON.parse(run.stdout);
  assert.deepEqual(results, ["answers"]);
  assert.deepEqual(
    rewrapped.map((one: { dataset: string; changed: boolean }) => [one.dataset, one.changed]),
    [["people", true]],
  );
  const people = await project.runHere("data", "rewrap");
  assert.equal(people.status, 0);
  assert.match(people.stderr, /answers: a result, not re-wrapped: its manifest is signed/);
  assert.match(people.stderr, /keep the old version of its KEK enabled/);
  await project.mustHere("key", "rotate", "sensitive");
  const again = await project.mustHere("data", "rewrap", "people");
  const stored = readdirSync(join(project.root, "sealed/people"), { recursive: true }).map(String);
  assert.match(again.stdout, /people +v3 +now/);
  assert.deepEqual(
    stored.filter((name) => name.endsWith("people.parquet")),
    ["v3/people.parquet"],
  );
});

test("the remedy works: the job signed and run again seals its result under the current version", async () => {
  await project.mustHere("job", "sign", "answer");
  await project.mustHere("policy", "draft", "analysis", "--force");
  await project.mustHere("policy", "apply");
  await project.mustHere("run", "answer");
  const [version] = JSON.parse(
    (await project.mustHere("key", "show", "results", "--json")).stdout,
  ).kek.versions.slice(-1);
  assert.ok(
    Buffer.from(JSON.parse(manifest()).payload, "base64").toString().includes(version.kekVersion),
  );
});
