import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { PPML, temporaryFolder } from "../cli/ppml.ts";

const README = join(import.meta.dirname, "../../README.md");

/** The indented lines of the section on a first project, as a newcomer would paste them. */
function firstProject(): readonly string[] {
  const [, section = ""] = readFileSync(README, "utf8").split(/^## A first project.*$/m);
  const [text = ""] = section.split(/^## /m);
  return text.split("\n").filter((line) => line.startsWith("    "));
}

test("the README's first project works word by word, and says what was decrypted", async (context) => {
  const lines = firstProject();
  assert.ok(lines.some((line) => line.includes("ppml run developers")));
  // The two lines that prepare the clone: done already, where tests run.
  const commands = lines.filter((line) => !/npm run ready|export PATH/.test(line));
  assert.equal(commands.length, lines.length - 2);
  const { stdout, stderr } = await promisify(execFile)(
    "sh",
    ["-c", `set -e\n${commands.join("\n")}`],
    {
      env: {
        HOME: temporaryFolder(context),
        // Of compiled modules alone: a newcomer's first commands take a second longer.
        XDG_CACHE_HOME: join(import.meta.dirname, "../../node_modules/.cache"),
        PATH: [dirname(PPML), process.env["PATH"]].join(delimiter),
      },
    },
  );
  assert.match(stderr, /decrypted only people: all of it$/m);
  assert.match(stdout, /result receipt: verified/);
});
