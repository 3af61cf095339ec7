import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { skip } from "../attest/vectors.ts";
import { sharedPath } from "../shared-data.ts";
import { runInProcess } from "./ppml.ts";

const GUIDE = join(import.meta.dirname, "../../docs/guides/attestation.md");

/** Each command of the guide that explains real Evidence, with what the guide shows below it. */
const shown = [
  ...readFileSync(GUIDE, "utf8").matchAll(/^ {4}\$ ppml (attest explain .*)\n((?: {4}.*\n|\n)+)/gm),
].map(([, command = "", output = ""]) => ({
  command: command.split(" "),
  output: output.replace(/^ {4}/gm, "").trimEnd(),
}));

test("the guide explains real Evidence of three kinds", () => {
  assert.equal(shown.length, 3);
});

describe("the guide shows what the command says", { skip }, () => {
  for (const { command, output } of shown)
    test(command[2] ?? "", async () => {
      const args = command.map((word) =>
        word.startsWith("vectors/") ? (sharedPath(word) ?? word) : word,
      );
      const { stdout } = await runInProcess(args);
      assert.equal(stdout.trimEnd(), output);
    });
});
