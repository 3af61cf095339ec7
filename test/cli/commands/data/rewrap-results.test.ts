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
  project.must("run", "answer");
  for (const name of ["ordinary", "results"]) project.must("key", "rotate", name);
});
after(() => {
  scratch[Symbol.dispose]();
});

const manifest = () => readFileSync(join(project.root, "sealed/answers/manifest.json"), "utf8");

test("a result that is named is refused with the reason and what to do, and is not touched", () => {
  const was = manifest();
  const run = project.run("data", "rewrap", "answers");
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

test("re-wrapping all says which results stay; a table becomes a file of the new version", () => {
  const run = project.must("data", "rewrap", "--json");
  const { rewrapped, results } = JSON.parse(run.stdout);
  assert.deepEqual(results, ["answers"]);
  assert.deepEqual(
    rewrapped.map((one: { dataset: string; changed: boolean }) => [one.dataset, one.changed]),
    [["people", true]],
  );
  const people = project.run("data", "rewrap");
  assert.equal(people.status, 0);
  assert.match(people.stderr, /answers: a result, not re-wrapped: its manifest is signed/);
  assert.match(people.stderr, /keep the old version of its KEK enabled/);
  project.must("key", "rotate", "sensitive");
  const again = project.must("data", "rewrap", "people");
  const stored = readdirSync(join(project.root, "sealed/people"), { recursive: true }).map(String);
  assert.match(again.stdout, /people +v3 +now/);
  assert.deepEqual(
    stored.filter((name) => name.endsWith("people.parquet")),
    ["v3/people.parquet"],
  );
});

test("the remedy works: the job signed and run again seals its result under the current version", () => {
  project.must("job", "sign", "answer");
  project.must("policy", "draft", "analysis", "--force");
  project.must("policy", "apply");
  project.must("run", "answer");
  const [version] = JSON.parse(
    project.must("key", "show", "results", "--json").stdout,
  ).kek.versions.slice(-1);
  assert.ok(
    Buffer.from(JSON.parse(manifest()).payload, "base64").toString().includes(version.kekVersion),
  );
});
