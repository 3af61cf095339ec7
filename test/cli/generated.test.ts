import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ERROR_CODES } from "../../src/base/index.ts";
import { errorsPage } from "../../tools/pages/errors-page.ts";
import { commandsOf } from "../../src/cli/routes.ts";
import { helpOf } from "../../tools/pages/cli-page.ts";
import { projectPage } from "../../tools/pages/project-page.ts";
import { ppml, runInProcess, temporaryFolder } from "./ppml.ts";

test("docs/errors.md has every code once, and names no other", () => {
  const rows = [...errorsPage().matchAll(/^\| `([a-z]+\.[a-z_]+)` \|/gm)];
  const named = rows.map((match) => String(match[1]));
  assert.deepEqual(named.sort(), Object.keys(ERROR_CODES).sort());
});

test("every key of ppml.yaml has a description", () => {
  for (const line of projectPage().split("\n"))
    if (line.startsWith("| `")) assert.doesNotMatch(line, /\| +\|$/, line);
});

test("the help of every command is what the command's own file would print", async () => {
  for (const { path } of commandsOf()) {
    const { code, stdout } = await runInProcess([...path, "--help"]);
    assert.equal(code, 0);
    assert.equal(stdout, await helpOf(path), path.join(" "));
  }
});

test("the help of a command loads neither the command nor what it needs", async (context) => {
  const folder = temporaryFolder(context);
  const { stdout } = await ppml(["key", "list", "--help"], { env: { NODE_V8_COVERAGE: folder } });
  assert.match(stdout, /ppml key list/);
  const [report] = readdirSync(folder);
  const loaded = readFileSync(join(folder, report ?? ""), "utf8");
  assert.match(loaded, /src\/cli\/run\.ts/);
  assert.doesNotMatch(loaded, /src\/cli\/commands|src\/key|node_modules\/(?:zod|yaml)/);
});
