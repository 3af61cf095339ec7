import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { test } from "node:test";
import { PPML, ppml } from "./ppml.ts";

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
  assert.deepEqual(complete("ppml", "key", "e"), ["export", "enable"]);
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

test("every shell's script is there, as JSON too", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const plain = await ppml(["completion", shell]);
    assert.match(plain.stdout, /__complete/);
    const json = JSON.parse((await ppml(["completion", shell, "--json"])).stdout);
    assert.deepEqual(json, { shell, script: plain.stdout });
  }
});
