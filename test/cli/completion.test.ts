import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { PPML, ppml, runInProcess, temporaryFolder } from "./ppml.ts";

/** Completes a line in a real bash that sourced our script; gives the proposals. */
function complete(...words: readonly string[]): readonly string[] {
  const script = `
    PATH="$1:$PATH"; shift
    source <(ppml completion bash)
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _ppml
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const args = ["--norc", "-c", script, "bash", dirname(PPML), ...words];
  const run = spawnSync("bash", args, { encoding: "utf8" });
  assert.equal(run.stderr, "");
  return run.stdout.split("\n").filter((line) => line !== "");
}

test("bash completes commands, nouns' commands, flags and their values", () => {
  assert.deepEqual(complete("ppml", "ini"), ["init"]);
  assert.deepEqual(complete("ppml", "key", "e"), ["export", "enable", "enclave"]);
  assert.deepEqual(complete("ppml", "key", "export", "--f"), ["--format"]);
  assert.deepEqual(complete("ppml", "key", "export", "--format", ""), ["pem", "jwk"]);
  assert.deepEqual(complete("ppml", "completion", "z"), ["zsh"]);
  assert.deepEqual(complete("ppml", "nosuch", ""), []);
});

test("the script registers itself with complete", () => {
  const script = `source <("$1" completion bash); complete -p ppml`;
  const run = spawnSync("bash", ["--norc", "-c", script, "bash", PPML], { encoding: "utf8" });
  assert.match(run.stdout, /^complete -o default -F _ppml ppml$/m);
});

test("words that would be shell code stay words", () => {
  assert.deepEqual(complete("ppml", "$(touch /nosuch)"), []);
  assert.deepEqual(complete("ppml", "key", "show", "a b; exit 3"), []);
});

test("names of KEKs are proposed from the vault, and nothing where there is no project", async (context) => {
  const cwd = temporaryFolder(context);
  assert.equal(
    (await ppml(["__complete", "key", "show", ""], { cwd })).stdout.includes("people"),
    false,
  );
  await runInProcess(["init", ".", "--template", "people", "--rows", "1"], { cwd });
  await runInProcess(["key", "create", "planes"], { cwd });
  const named = await ppml(["__complete", "key", "show", "p"], { cwd });
  assert.deepEqual(
    named.stdout.split("\n").map((line) => line.split("\t")[0]),
    ["people", "planes", ""],
  );
  assert.equal(named.stderr, "");
});

test("a vault with a passphrase is not asked about: ppml.yaml names the KEKs", async (context) => {
  const cwd = temporaryFolder(context);
  writeFileSync(join(cwd, "pass"), "correct horse\n", { mode: 0o600 });
  const secret = ["--root", "passphrase", "--passphrase-file", join(cwd, "pass")];
  const made = await runInProcess(["init", "p", "--template", "people", "--rows", "1", ...secret], {
    cwd,
  });
  assert.equal(made.code, 0, made.stderr);
  const named = await ppml(["__complete", "key", "show", "p"], { cwd: join(cwd, "p") });
  assert.match(named.stdout, /^people\t/m);
});

test("every shell's script is there, as JSON too", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const plain = await ppml(["completion", shell]);
    assert.match(plain.stdout, /__complete/);
    const json = JSON.parse((await ppml(["completion", shell, "--json"])).stdout);
    assert.deepEqual(json, { shell, script: plain.stdout });
  }
});
