import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { peopleCsv } from "../../src/cli/templates/people.ts";
import { ppml, runInProcess, temporaryFolder } from "./ppml.ts";

test("init makes a project with keys for its owner alone, and says SIMULATED", async (context) => {
  const cwd = temporaryFolder(context);
  const run = await ppml(["init", "demo", "--template", "people", "--rows", "3"], { cwd });
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stdout, /^Made project demo in .*SIMULATED$/m);
  const root = join(cwd, "demo");
  const expected = [".gitignore", ".ppml", "data", "ppml.yaml", "queries", "roots.json"];
  assert.deepEqual(readdirSync(root).sort(), expected);
  assert.equal(readFileSync(join(root, "data/people.csv"), "utf8").trim().split("\n").length, 4);
  assert.deepEqual(readFileSync(join(root, ".gitignore"), "utf8").split("\n").slice(1), [
    ".ppml/",
    "data/",
    "",
  ]);
  const modes = ["", "vault.db", "root.key", "owner.key", "sim", "broker"].map((name) =>
    (lstatSync(join(root, ".ppml", name)).mode & 0o777).toString(8),
  );
  assert.deepEqual(modes, ["700", "600", "600", "600", "700", "700"]);
  // The editor's schema named in the first line is there.
  const [first = ""] = readFileSync(join(root, "ppml.yaml"), "utf8").split("\n");
  const schema = /^# yaml-language-server: \$schema=(.+)$/.exec(first)?.[1] ?? "";
  assert.equal(JSON.parse(readFileSync(join(root, schema), "utf8")).title, "ppml.yaml");
});

test("init with --json gives one document with what was made", async (context) => {
  const cwd = temporaryFolder(context);
  const run = await ppml(["init", "demo", "--json"], { cwd });
  assert.equal(run.code, 0, run.stdout);
  const document = JSON.parse(run.stdout);
  assert.deepEqual(Object.keys(document).sort(), [
    "created",
    "folder",
    "keks",
    "mode",
    "next",
    "project",
    "simulated",
  ]);
  assert.equal(document.folder, join(cwd, "demo"));
  assert.equal(document.simulated, true);
});

test("a second init is refused and changes nothing", async (context) => {
  const cwd = temporaryFolder(context);
  await runInProcess(["init"], { cwd });
  const before = readFileSync(join(cwd, "ppml.yaml"), "utf8");
  const run = await ppml(["init", "--template", "people"], { cwd });
  assert.equal(run.code, 1);
  assert.match(
    run.stderr,
    /already has ppml\.yaml, \.ppml, roots\.json: nothing was changed\ncode: {2}cli\.exists/,
  );
  assert.equal(readFileSync(join(cwd, "ppml.yaml"), "utf8"), before);
  assert.ok(!existsSync(join(cwd, "data")));
});

test("a file that a template would write over is named, and nothing is made", async (context) => {
  const cwd = temporaryFolder(context);
  mkdirSync(join(cwd, "queries"));
  writeFileSync(join(cwd, "queries/developers.sql"), "mine");
  const run = await runInProcess(["init", "--template", "people"], { cwd });
  assert.equal(run.code, 1);
  assert.match(run.stderr, /already has queries\/developers\.sql/);
  assert.deepEqual(readdirSync(cwd), ["queries"]);
});

test("a failure on the way leaves nothing behind", async (context) => {
  const cwd = temporaryFolder(context);
  writeFileSync(join(cwd, "data"), "a file where the folder must be");
  writeFileSync(join(cwd, ".gitignore"), "mine\n");
  const run = await runInProcess(["init", "--template", "people"], { cwd });
  assert.equal(run.code, 1);
  assert.match(run.stderr, /code: {2}cli\.exists/);
  assert.deepEqual(readdirSync(cwd).sort(), [".gitignore", "data"]);
  assert.equal(readFileSync(join(cwd, ".gitignore"), "utf8"), "mine\n");

  const short = join(cwd, "pass");
  writeFileSync(short, "short\n", { mode: 0o600 });
  const flags = ["--mode", "production", "--passphrase-file", short];
  const weak = await runInProcess(["init", "new/deep", ...flags], { cwd });
  assert.match(weak.stderr, /expected a passphrase of at least 8 bytes/);
  assert.ok(!existsSync(join(cwd, "new")), "folders made on the way are gone too");
});

test("an existing .gitignore keeps its lines and gets ours once", async (context) => {
  const cwd = temporaryFolder(context);
  writeFileSync(join(cwd, ".gitignore"), "mine\ndata/");
  await runInProcess(["init"], { cwd });
  const text = readFileSync(join(cwd, ".gitignore"), "utf8");
  assert.equal(text, "mine\ndata/\n\n# ppml: keys and state, plaintext data\n.ppml/\n");
});

test("git sees no secret and no data of a new project", async (context) => {
  const cwd = temporaryFolder(context);
  await runInProcess(["init", "--template", "people", "--rows", "2"], { cwd });
  execFileSync("git", ["init", "-q"], { cwd });
  const seen = execFileSync("git", ["status", "--porcelain", "-uall"], { cwd, encoding: "utf8" });
  assert.deepEqual(seen.trim().split("\n").sort(), [
    "?? .gitignore",
    "?? ppml.yaml",
    "?? queries/developers.sql",
    "?? roots.json",
  ]);
});

test("production asks for a passphrase, and has no simulated platform", async (context) => {
  const cwd = temporaryFolder(context);
  const none = await ppml(["init", "--mode", "production"], { cwd });
  assert.equal(none.code, 1);
  assert.match(
    none.stderr,
    /no terminal to ask on\ncode: {2}cli\.cancelled.*\ntry: .*--passphrase-file/,
  );
  assert.deepEqual(readdirSync(cwd), []);
  writeFileSync(join(cwd, "pass"), "correct horse\n", { mode: 0o600 });
  const flags = ["--mode", "production", "--passphrase-file", "pass"];
  const run = await ppml(["init", ".", ...flags, "--json"], { cwd });
  assert.equal(run.code, 0, run.stdout);
  assert.equal(JSON.parse(run.stdout).simulated, false);
  assert.ok(!existsSync(join(cwd, ".ppml/sim")));
  assert.ok(!existsSync(join(cwd, ".ppml/root.key")));
  const list = await ppml(["key", "list", "--passphrase-file", "pass"], { cwd });
  assert.equal(list.code, 0, list.stderr);
});

test("people.csv is the same for the same seed, and has developers of the ages asked for", () => {
  const csv = peopleCsv({ rows: 2000, seed: 1 });
  assert.equal(csv, peopleCsv({ rows: 2000, seed: 1 }));
  assert.notEqual(csv, peopleCsv({ rows: 2000, seed: 2 }));
  const rows = csv.trim().split("\n").slice(1);
  assert.equal(rows.length, 2000);
  for (const row of rows)
    assert.match(row, /^[A-Z][a-z]+ [A-Z][a-z]+,(?:1[89]|[2-6]\d),[A-Z][a-z]+$/);
  const wanted = rows.filter((row) => /,(?:[23]\d|40),Developer$/.test(row)).length;
  assert.ok(wanted > 40 && wanted < 160, `${wanted} developers aged 20 to 40`);
});

test("--rows without the people template is a usage error", async (context) => {
  const run = await runInProcess(["init", "--rows", "5"], { cwd: temporaryFolder(context) });
  assert.equal(run.code, 2);
  assert.match(run.stderr, /--rows belongs to --template people/);
});

test("the azure template is a project of production whose vault is in Azure: no vault is made here", async (context) => {
  const cwd = temporaryFolder(context);
  const run = await runInProcess(["init", "--template", "azure", "--json"], { cwd });
  assert.equal(run.code, 0, run.stderr);
  const made = JSON.parse(run.stdout) as { mode: string; simulated: boolean; keks: string[] };
  assert.deepEqual([made.mode, made.simulated, made.keks], ["production", false, []]);
  const yaml = readFileSync(join(cwd, "ppml.yaml"), "utf8");
  assert.match(yaml, /kind: azure\n {2}url: https:\/\/my-vault\.vault\.azure\.net/);
  assert.equal(existsSync(join(cwd, ".ppml/vault.db")), false);
  assert.ok(existsSync(join(cwd, ".ppml/owner.key")));
  const other = temporaryFolder(context);
  const refused = await runInProcess(["init", "--template", "azure", "--root", "passphrase"], {
    cwd: other,
  });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /a vault in Azure goes with a root-key file/);
  assert.deepEqual(readdirSync(other), []);
});
