import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { checkRules } from "../../../src/provision/index.ts";
import { sectionOf, templateOf, VARIANTS } from "./sections.ts";

// PPML_WRITE_SNAPSHOTS=1 npm test test/provision/azure/snapshots.test.ts writes them anew: look at
// the difference before it is committed.
const FOLDER = join(import.meta.dirname, "../snapshots");
const isWriting = process.env["PPML_WRITE_SNAPSHOTS"] === "1";

for (const [name, change] of Object.entries(VARIANTS)) {
  const path = join(FOLDER, `${name}.json`);

  test(`the template "${name}" is that of its snapshot`, () => {
    const text = `${JSON.stringify(templateOf(sectionOf(change)), null, 2)}\n`;
    if (isWriting) writeFileSync(path, text);
    assert.ok(existsSync(path), `${path} is missing: run with PPML_WRITE_SNAPSHOTS=1`);
    assert.deepEqual(JSON.parse(text), JSON.parse(readFileSync(path, "utf8")));
  });

  test(`the template "${name}" breaks no rule`, () => {
    const section = sectionOf(change);
    assert.deepEqual(checkRules({ template: templateOf(section), section }), []);
  });

  test(`the template "${name}" depends only on what it has itself`, () => {
    const { resources } = templateOf(sectionOf(change));
    const names = new Set(resources.map((one) => one.name.toLowerCase()));
    for (const resource of resources)
      for (const id of resource.dependsOn ?? []) {
        const parts = [...id.matchAll(/'([^']+)'/g)].map((match) => match[1] ?? "").slice(1);
        const wanted = id.startsWith("[") ? parts.join("/") : (id.split("/").at(-1) ?? "");
        assert.ok(names.has(wanted.toLowerCase()), `${resource.name} waits for ${id}`);
      }
  });
}
