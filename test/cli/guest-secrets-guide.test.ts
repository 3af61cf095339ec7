import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { skip } from "../attest/vectors.ts";
import { sharedPath } from "../shared-data.ts";
import { runInProcess, temporaryFolder } from "./ppml.ts";

const GUIDE = readFileSync(join(import.meta.dirname, "../../docs/guides/guest-secrets.md"), "utf8");

/** The indented block of the guide that begins so. */
function block(start: RegExp): string {
  const text = /^(?: {4}.*\n|\n(?= {4}))+/.exec(GUIDE.slice(GUIDE.search(start)))?.[0] ?? "";
  return text.replace(/^ {4}/gm, "");
}

/** Words of a command line; what stands in quotation marks is one. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");
}

test("the guide to secrets for guests works as it is written", { skip }, async (context) => {
  const cwd = temporaryFolder(context);
  const run = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await runInProcess(args, { cwd });
    assert.equal(code, 0, `ppml ${args.join(" ")}: ${stderr}${stdout}`);
    return stdout;
  };
  await run("init", ".", "--mode", "production", "--root", "file", "--name", "guide");
  const yaml = readFileSync(join(cwd, "ppml.yaml"), "utf8");
  const policies = block(/^ {4}policies:/m);
  writeFileSync(join(cwd, "ppml.yaml"), yaml.replace("policies: {}\n", policies));
  writeFileSync(join(cwd, "db.key"), "hunter2");
  mkdirSync(join(cwd, "policies"));
  const commands = [...GUIDE.matchAll(/^ {4}\$ ppml (.*)$/gm)].map(([, command = ""]) => command);
  assert.equal(commands.length, 9);
  let said = "";
  for (const command of commands) {
    const words = wordsOf(command).map((word) =>
      word.startsWith("vectors/") ? (sharedPath(word) ?? word) : word,
    );
    said = await run(...words);
    if (!command.startsWith("key create")) continue;
    const kek = /embedded:\S+/.exec(said)?.[0] ?? "";
    const policy = block(/^ {4}\{/m).replace("embedded:VAULT/secrets", kek);
    writeFileSync(join(cwd, "policies", "guests.json"), policy);
  }
  assert.match(said, /resource default\/keys\/db/);
});
