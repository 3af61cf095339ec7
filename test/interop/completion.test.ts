import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { PPML, runInProcess } from "../cli/ppml.ts";

let folder = "";
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ppml-completion-"));
  for (const line of [["init"], ["key", "create", "people"], ["key", "create", "planes"]]) {
    const { code, stderr } = await runInProcess(line, { cwd: folder });
    assert.equal(code, 0, stderr);
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

function runShell(shell: string, ...args: readonly string[]): string {
  const run = spawnSync(shell, args, {
    cwd: folder,
    encoding: "utf8",
    timeout: 60_000,
    env: {
      PATH: `${dirname(PPML)}:${process.env["PATH"] ?? ""}`,
      HOME: folder,
      TERM: "dumb",
      LANG: "C.UTF-8",
    },
  });
  assert.equal(run.status, 0, run.stderr + run.stdout);
  return run.stdout;
}

/**
 * Types a line and the Tab key in an interactive zsh on a terminal of its own; gives the line as the
 * shell then holds it, between bars. Ctrl-X is bound to a widget that writes it down.
 */
const ZSH_DRIVER = `
emulate -L zsh
zmodload zsh/zpty zsh/datetime
typed="$1"; out="$2"
zpty shell zsh -f -i
feed() { zpty -w -n shell "$1" }
feed "PS1='> '; unsetopt LIST_BEEP; autoload -Uz compinit && compinit -D -u; source <(ppml completion zsh)"$'\\n'
feed 'note() { print -r -- "|$BUFFER|" > "'$out'" }; zle -N note; bindkey "^X" note; print -r -- rea""dy'$'\\n'
# Everything that the shell prints has to be read, or it waits for us.
local chunk seen='' ends=$((EPOCHREALTIME + 40))
until [[ $seen == *$'\\n'ready* ]]; do
  (( EPOCHREALTIME < ends )) || { print -u2 -r -- "not ready: $seen"; exit 1 }
  if zpty -rt shell chunk; then seen+=$chunk; else sleep 0.05; fi
done
feed "$typed"$'\\t'; feed $'\\x18'
until [[ -s $out ]]; do
  (( EPOCHREALTIME < ends )) || { print -u2 -r -- "no answer: $seen"; exit 1 }
  if zpty -rt shell chunk; then seen+=$chunk; else sleep 0.05; fi
done
zpty -d shell
cat $out
`;

function inZsh(typed: string): string {
  const out = join(mkdtempSync(join(folder, "zsh-")), "line");
  return runShell("zsh", "-f", "-c", ZSH_DRIVER, "zsh", typed, out).trim();
}

/** What fish proposes for a line, without the descriptions. */
function inFish(typed: string): readonly string[] {
  const script = "ppml completion fish | source; complete --do-complete $argv[1]";
  return runShell("fish", "--no-config", "-c", script, typed)
    .split("\n")
    .flatMap((line) => (line === "" ? [] : [line.split("\t")[0] ?? ""]));
}

describe("completion in a real zsh", () => {
  for (const [typed, line] of [
    ["ppml ini", "|ppml init |"],
    ["ppml key exp", "|ppml key export |"],
    ["ppml key export --fo", "|ppml key export --format |"],
    ["ppml key export --format j", "|ppml key export --format jwk |"],
    ["ppml key show pe", "|ppml key show people |"],
    ["ppml key show p", "|ppml key show p|"],
  ] as const)
    test(`${typed} becomes ${line}`, () => assert.equal(inZsh(typed), line));
});

describe("completion in a real fish", () => {
  for (const [typed, proposals] of [
    ["ppml ini", ["init"]],
    ["ppml key e", ["enable", "enclave", "export"]],
    ["ppml key export --fo", ["--format"]],
    ["ppml key export --format ", ["jwk", "pem"]],
    ["ppml key show p", ["people", "planes"]],
    ["ppml completion z", ["zsh"]],
  ] as const)
    test(`${typed} proposes ${proposals.join(", ")}`, () =>
      assert.deepEqual(inFish(typed).toSorted(), proposals));
});

test("fish and zsh fall back to file names where ppml proposes nothing", () => {
  assert.deepEqual(inFish("ppml receipt verify roo"), ["roots.json"]);
  assert.equal(inZsh("ppml receipt verify roo"), "|ppml receipt verify roots.json |");
});

test("fish shows what a proposal means", () => {
  const script = "ppml completion fish | source; complete --do-complete 'ppml ini'";
  assert.match(runShell("fish", "--no-config", "-c", script), /^init\t\S/m);
});
