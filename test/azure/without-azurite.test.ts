import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { AZURITE_FOLDER } from "../../src/twin/adls/azurite.ts";
import { PPML, ppml, temporaryFolder } from "../cli/ppml.ts";

const NPM_LINE = /npm install --prefix '\S+ cli \S+\/azurite-[\d.]+' azurite@[\d.]+/;

test("without Azurite each command says so, with how to install it; what ARM made is there once it is", async (t) => {
  assert.ok(existsSync(AZURITE_FOLDER));
  const cwd = join(temporaryFolder(t), "a");
  const home = temporaryFolder(t);
  const run = async (command: string, HOME: string) =>
    ppml(["twin", "exec", "--", "sh", "-c", command], {
      cwd,
      env: { HOME, PATH: `${dirname(PPML)}:${process.env["PATH"] ?? ""}` },
    });
  const begun = await ppml(["init", cwd, "--template", "azure"]);
  assert.equal(begun.code, 0, begun.stderr);

  const up = await run("ppml up --yes", home);
  assert.equal(up.code, 0, up.stderr);
  assert.match(up.stderr, /Storage does not answer here: Azurite/);
  assert.match(up.stderr, NPM_LINE);

  for (const command of [
    "ppml data put -r data/in documents --json",
    "ppml data ls abfss://sealed@mydatalake.dfs.core.windows.net/ --json",
    "ppml data mkdir abfss://sealed@mydatalake.dfs.core.windows.net/x --json",
  ]) {
    const refused = await run(command, home);
    assert.equal(refused.code, 1, command);
    const { error } = JSON.parse(refused.stdout) as { error: { message: string } };
    assert.match(error.message, /Azure answered 501 .*Azurite, which keeps the blobs/, command);
    assert.match(error.message, NPM_LINE);
    assert.match(error.message, /trying again is no use/);
  }

  const later = await run("ppml data put -r data/in documents", process.env["HOME"] ?? "");
  assert.equal(later.code, 0, later.stderr);
  assert.doesNotMatch(later.stderr, /Azurite/);
});
