import assert from "node:assert/strict";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import { obtainPassphrase, readTypedSecret } from "../../src/cli/terminal.ts";
import { temporaryFolder } from "./ppml.ts";

async function typed(...keys: readonly string[]): Promise<string> {
  const chunks = keys.map((key) => Buffer.from(key, "utf8"));
  using secret = await readTypedSecret(Readable.from(chunks));
  for (const chunk of chunks) assert.ok(chunk.every((byte) => byte === 0));
  return secret.expose((bytes) => Buffer.from(bytes).toString("utf8"));
}

test("a passphrase is what was typed before Enter, in one or many chunks", async () => {
  assert.equal(await typed("correct horse\r"), "correct horse");
  assert.equal(await typed("cor", "rect", "\n"), "correct");
  assert.equal(await typed("\r"), "");
});

test("Backspace takes one character, of several bytes too; Ctrl-U takes all", async () => {
  assert.equal(await typed("ab\u007fc\r"), "ac");
  assert.equal(await typed("a東\u007fb\r"), "ab");
  assert.equal(await typed("\u007f\u0008x\r"), "x");
  assert.equal(await typed("wrong\u0015right\r"), "right");
});

test("Ctrl-C, Ctrl-D at the start, the end and too much are a cancel", async () => {
  for (const keys of ["abc\u0003", "\u0004", "abc", "x".repeat(1025)])
    await assert.rejects(typed(keys), { code: "cli.cancelled" });
});

test("a descriptor gives its passphrase as often as a command needs it", async (context) => {
  const path = join(temporaryFolder(context), "pass");
  writeFileSync(path, "correct horse\r\n");
  const descriptor = openSync(path, "r");
  context.after(() => closeSync(descriptor));
  for (let time = 0; time < 2; time += 1) {
    using secret = await obtainPassphrase({ file: `fd:${descriptor}`, prompt: "" });
    const text = secret.expose((bytes) => Buffer.from(bytes).toString("utf8"));
    assert.equal(text, "correct horse");
  }
});
