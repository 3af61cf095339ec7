import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseKekPublicKey } from "../../src/key/index.ts";
import { PPML, ppml, runInProcess } from "./ppml.ts";

const cwd = mkdtempSync(join(tmpdir(), "ppml-key-"));
after(() => rmSync(cwd, { recursive: true, force: true }));
before(async () => {
  const run = await runInProcess(["init", "--name", "demo"], { cwd });
  assert.equal(run.code, 0, run.stderr);
});

/** Runs with --json and gives the document. */
async function json(...args: readonly string[]) {
  const run = await runInProcess([...args, "--json"], { cwd });
  assert.equal(run.stderr, "");
  return { code: run.code, document: JSON.parse(run.stdout) };
}

test("an empty vault's list says what to do", async () => {
  const run = await runInProcess(["key", "list"], { cwd });
  assert.match(run.stdout, /^The vault has no KEKs: ppml key create NAME\n\nSIMULATED: /);
  const { document } = await json("key", "list");
  assert.deepEqual(Object.keys(document), ["vaultId", "mode", "simulated", "keks"]);
  assert.deepEqual(document.keks, []);
});

test("create, rotate, disable, enable, show: the JSON names every version", async () => {
  const created = await json("key", "create", "alpha", "--purpose", "für 東京");
  assert.equal(created.code, 0);
  const { kek } = created.document;
  const members = ["created", "currentVersion", "kekId", "kind", "mode", "name", "purpose"];
  assert.deepEqual(Object.keys(kek).sort(), [
    ...members,
    "recoverableUntil",
    "releasePolicy",
    "simulated",
    "state",
    "versions",
  ]);
  assert.equal(kek.purpose, "für 東京");
  assert.equal(kek.versions[0].bits, 3072);

  const rotated = (await json("key", "rotate", "alpha")).document.kek;
  assert.equal(rotated.versions.length, 2);
  assert.equal(rotated.currentVersion, rotated.versions[1].kekVersion);

  const disabled = (await json("key", "disable", "alpha", "--kek-version", "1")).document.kek;
  assert.deepEqual(
    disabled.versions.map(({ state }: { state: string }) => state),
    ["disabled", "enabled"],
  );
  const digits = disabled.versions[0].kekVersion.slice(0, 8);
  const enabled = (await json("key", "enable", "alpha", "--kek-version", digits)).document.kek;
  assert.equal(enabled.versions[0].state, "enabled");
  assert.deepEqual((await json("key", "show", "alpha")).document.kek, enabled);
  assert.deepEqual((await json("key", "show", kek.kekId)).document.kek, enabled);
});

test("a wrong name or version is answered with the right one", async () => {
  await json("key", "create", "bravo");
  const name = await json("key", "show", "brvao");
  assert.equal(name.code, 1);
  assert.equal(name.document.error.code, "key.not_found");
  assert.equal(name.document.error.message, 'the vault has no KEK "brvao": did you mean "bravo"?');
  const version = await json("key", "disable", "bravo", "--kek-version", "7");
  assert.match(version.document.error.message, /no version "7": expected a number from 1 to 1/);
  const again = await json("key", "create", "bravo");
  assert.equal(again.document.error.code, "key.exists");
  const bad = await json("key", "create", "Bravo!");
  assert.equal(bad.document.error.code, "key.not_permitted");
});

test("export gives a public key that sealing accepts, and its thumbprint beside it", async () => {
  await json("key", "create", "charlie");
  for (const format of ["pem", "jwk"]) {
    const run = await runInProcess(["key", "export", "charlie", "--format", format], { cwd });
    const kek = parseKekPublicKey(run.stdout);
    assert.match(kek.kekId, /\/charlie$/);
    assert.match(run.stderr, /^thumbprint [\w-]{43}\nSIMULATED: /);
    const { document } = await json("key", "export", "charlie", "--format", format);
    assert.equal(document.text, run.stdout);
    assert.ok(run.stderr.includes(document.thumbprint));
  }
});

test("destroy asks; without a terminal and --yes it does nothing", async () => {
  await json("key", "create", "delta");
  const asked = await ppml(["key", "destroy", "delta"], { cwd });
  assert.equal(asked.code, 1);
  assert.match(asked.stderr, /^error: there is no terminal to ask on\ncode: {2}cli\.cancelled/);
  assert.equal((await json("key", "show", "delta")).document.kek.state, "enabled");

  const run = await runInProcess(["key", "destroy", "delta", "--yes"], { cwd });
  assert.equal(run.code, 0);
  assert.match(run.stdout, /^KEK delta is destroyed in this vault\.\nNot reached: backups/);
  assert.doesNotMatch(run.stdout, /shredded/);
  const { kek } = (await json("key", "show", "delta")).document;
  assert.equal(kek.state, "destroyed");
  const exported = await json("key", "export", "delta");
  assert.equal(exported.document.error.code, "key.destroyed");
});

test("only an old version of a KEK can be destroyed by itself", async () => {
  await json("key", "create", "echo");
  const current = await json("key", "destroy", "echo", "--kek-version", "1", "--yes");
  assert.equal(current.document.error.code, "key.not_permitted");
  await json("key", "rotate", "echo");
  const old = await json("key", "destroy", "echo", "--kek-version", "1", "--yes");
  assert.equal(old.document.kek.versions[0].state, "destroyed");
  assert.equal(old.document.kek.state, "enabled");
});

test("a backup and its restore: what was destroyed comes back only when it is said so", async () => {
  await json("key", "create", "golf");
  const backed = await json("key", "backup", "vault.backup");
  assert.equal(backed.code, 0);
  assert.equal(backed.document.mode, "simulation");
  const again = await json("key", "backup", "vault.backup");
  assert.equal(again.document.error.code, "key.vault_io");
  await json("key", "destroy", "golf", "--yes");
  const asked = await ppml(["key", "restore", "vault.backup"], { cwd });
  assert.equal(asked.code, 1);
  assert.match(asked.stderr, /code: {2}cli\.cancelled/);
  assert.equal((await json("key", "show", "golf")).document.kek.state, "destroyed");

  const restored = await json("key", "restore", "vault.backup", "--yes");
  assert.equal(restored.code, 0);
  assert.deepEqual(restored.document.undone.revived, ["KEK golf", "version 1 of KEK golf"]);
  assert.equal((await json("key", "show", "golf")).document.kek.state, "enabled");
  // What it was before is a backup of its own, with which the restore is undone.
  const back = await json("key", "restore", restored.document.undone.kept, "--yes");
  assert.equal(back.code, 0);
  assert.equal((await json("key", "show", "golf")).document.kek.state, "destroyed");

  rmSync(join(cwd, ".ppml", "vault.db"));
  const lost = await json("key", "list");
  assert.equal(lost.document.error.code, "key.vault_missing");
  const run = await runInProcess(["key", "restore", "vault.backup"], { cwd });
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stdout, /^Made vault [0-9a-f]{16} \(simulation, \d+ KEKs\) anew/);
  assert.equal((await json("key", "show", "golf")).document.kek.state, "enabled");
  writeFileSync(join(cwd, "no.backup"), "hello", { mode: 0o600 });
  const bad = await json("key", "restore", "no.backup", "--yes");
  assert.equal(bad.document.error.code, "key.backup");
});

test("an exportable KEK is made under a release policy, which is shown and stays", async () => {
  const policy = {
    version: "1.0.0",
    anyOf: [{ authority: "https://a.eus.attest.azure.net", allOf: [{ claim: "c", equals: true }] }],
  };
  writeFileSync(join(cwd, "skr.json"), JSON.stringify(policy));
  const made = await json("key", "create", "hotel", "--release-policy", "skr.json");
  assert.equal(made.document.kek.kind, "exportable");
  assert.deepEqual(made.document.kek.releasePolicy, policy);
  const shown = await runInProcess(["key", "show", "hotel"], { cwd });
  assert.match(shown.stdout, /release policy {2}\{"anyOf":|release policy .*https:\/\/a\.eus/);
  writeFileSync(join(cwd, "skr.json"), JSON.stringify({ ...policy, anyOf: [] }));
  const bad = await json("key", "create", "india", "--release-policy", "skr.json");
  assert.equal(bad.document.error.code, "release.policy");
});

test("a purpose with control characters never reaches the terminal", async () => {
  const run = await json("key", "create", "foxtrot", "--purpose", "a\u001b[31mb");
  assert.equal(run.document.error.code, "key.not_permitted");
  const shown = await runInProcess(["key", "show", "\u001b[2Jx"], { cwd });
  assert.match(shown.stderr, /no KEK "\\x1b\[2Jx"/);
});

test("a passphrase comes from a private file or a descriptor, and one that others may read is refused", async () => {
  writeFileSync(join(cwd, "pass"), "correct horse\n", { mode: 0o600 });
  writeFileSync(join(cwd, "open"), "correct horse\n", { mode: 0o644 });
  writeFileSync(join(cwd, "wrong"), "wrong horse\n", { mode: 0o600 });
  const flags = ["--root", "passphrase", "--passphrase-file", "pass"];
  const made = await ppml(["init", "locked", ...flags], { cwd });
  assert.equal(made.code, 0, made.stderr);
  const list = (file: string) =>
    ppml(["key", "list", "--project", "locked", "--passphrase-file", file], { cwd });
  assert.equal((await list("pass")).code, 0);
  assert.match((await list("open")).stderr, /others may read it: run chmod 600/);
  assert.match((await list("wrong")).stderr, /code: {2}key\.vault_locked/);
  assert.match((await list("nosuch")).stderr, /cannot be opened/);
  const descriptor = openSync(join(cwd, "pass"), "r");
  const inherited = spawnSync(
    PPML,
    ["key", "list", "--project", "locked", "--passphrase-file", "fd:3"],
    { cwd, stdio: ["ignore", "pipe", "pipe", descriptor], encoding: "utf8" },
  );
  closeSync(descriptor);
  assert.equal(inherited.status, 0, inherited.stderr);
});

test("a project whose mode is not the vault's is refused", async () => {
  const project = join(cwd, "other");
  await runInProcess(["init", project], { cwd });
  const file = join(project, "ppml.yaml");
  const text = readFileSync(file, "utf8")
    .replace(/^mode: simulation.*$/m, "mode: production")
    .replace(/^simulation:\n.*\n/m, "");
  writeFileSync(file, text);
  const list = await runInProcess(["key", "list", "--project", project, "--json"], { cwd });
  assert.equal(JSON.parse(list.stdout).error.code, "key.vault_mode");
});
