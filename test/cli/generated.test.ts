import assert from "node:assert/strict";
import { test } from "node:test";
import { ERROR_CODES } from "../../src/base/index.ts";
import { errorsPage } from "../../tools/pages/errors-page.ts";
import { projectPage } from "../../tools/pages/project-page.ts";

test("docs/errors.md has every code once, and names no other", () => {
  const rows = [...errorsPage().matchAll(/^\| `([a-z]+\.[a-z_]+)` \|/gm)];
  const named = rows.map((match) => String(match[1]));
  assert.deepEqual(named.sort(), Object.keys(ERROR_CODES).sort());
});

test("every key of ppml.yaml has a description", () => {
  for (const line of projectPage().split("\n"))
    if (line.startsWith("| `")) assert.doesNotMatch(line, /\| +\|$/, line);
});
