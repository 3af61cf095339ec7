import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";
import { isPpmlError } from "../../src/base/index.ts";
import { loadProject } from "../../src/cli/config/load.ts";
import { projectStores } from "../../src/cli/data-lake.ts";
import { handOverLogin } from "../../src/cli/hand-over-login.ts";
import { createContext } from "../../src/cli/context.ts";
import { runInProcess, temporaryFolder } from "./ppml.ts";

const KEY = Buffer.alloc(64, "k").toString("base64");

async function makeProject(folder: string, yaml: string) {
  const made = await runInProcess(["init", ".", "--template", "empty"], { cwd: folder });
  assert.equal(made.code, 0, made.stderr);
  writeFileSync(join(folder, "ppml.yaml"), yaml, { flag: "a" });
  return loadProject({ cwd: folder });
}

test("an account's key is used only where ppml.yaml names it, with a warning, and is never shown", async (context) => {
  const folder = temporaryFolder(context);
  const yaml = "\ndataLake:\n  sharedKeys:\n    lake1: lake1.key\n";
  const project = await makeProject(folder, yaml);
  const path = join(folder, "lake1.key");
  const warnings: string[] = [];
  const stores = () => projectStores(project, (warning) => void warnings.push(warning));

  await assert.rejects(stores().accessOf("lake1"), { code: "key.vault_missing" });
  writeFileSync(path, `${KEY}\n`, { mode: 0o644 });
  chmodSync(path, 0o644);
  await assert.rejects(stores().accessOf("lake1"), { code: "key.vault_io", message: /0600/ });
  chmodSync(path, 0o600);
  writeFileSync(path, "AccountKey=HALF-OF-IT");
  await assert.rejects(stores().accessOf("lake1"), (error: unknown) => {
    assert.ok(isPpmlError(error, "key.vault_invalid"));
    assert.ok(!inspect(error).includes("HALF-OF-IT"));
    return true;
  });
  writeFileSync(path, `${KEY}\n`);
  warnings.length = 0;
  const asked = stores();
  const access = await asked.accessOf("lake1");
  await asked.accessOf("lake1");
  assert.equal(access.sharedKey?.byteLength, 64);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /storage account lake1 is asked with its key/);
  assert.ok(!`${inspect(access, { depth: 9 })}${warnings.join("")}`.includes(KEY));
  assert.equal((await asked.accessOf("lake2")).sharedKey, undefined);

  const host = { stdout: process.stdout, stderr: process.stderr, env: {}, cwd: () => folder };
  const cli = createContext(host, { isJson: false, captured: process });
  await assert.rejects(handOverLogin(cli, { project, stores: asked, accounts: ["lake1"] }), {
    code: "key.not_permitted",
  });
});
