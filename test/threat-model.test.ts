import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { stands } from "./test-name.ts";

const DOCUMENT = join(import.meta.dirname, "../docs/threat-model.md");

/** A test that a row names: its file, relative to test/, and its name. */
type Named = { readonly row: string; readonly file: string; readonly name: string };

/**
 * Reads the attack tables. In the last cell, `a file` begins the names of that file, "same" goes on
 * with the row above; a section's sentence "All in `a file`" is where its rows begin.
 */
function readRows(text: string): { readonly rows: string[]; readonly named: Named[] } {
  const rows: string[] = [];
  const named: Named[] = [];
  let file = "";
  let sectionFile = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) [file, sectionFile] = ["", ""];
    sectionFile = /^All in `([^`]+)`/.exec(line)?.[1] ?? sectionFile;
    const row = /^\| (T\d+) +\|/.exec(line)?.[1];
    if (row === undefined) continue;
    rows.push(row);
    const cell = line.split("|").at(-2)?.trim() ?? "";
    if (!cell.startsWith("same")) file = sectionFile;
    for (const [token] of cell.matchAll(/`[^`]+\.ts`(?=:)|the tests named T\d+|"[^"]+"/g))
      if (token.startsWith("`")) file = token.slice(1, -1);
      // Several tests that begin with the row's number.
      else if (token.startsWith("the")) named.push({ row, file, name: `${token.slice(16)}: …` });
      else named.push({ row, file, name: token.slice(1, -1) });
  }
  return { rows, named };
}

describe("docs/threat-model.md", () => {
  const text = readFileSync(DOCUMENT, "utf8");
  const { rows, named } = readRows(text);

  test("every attack has a number of its own and at least one test", () => {
    assert.equal(new Set(rows).size, rows.length, rows.join(" "));
    assert.ok(rows.length >= 54);
    for (const row of rows)
      assert.ok(
        named.some((one) => one.row === row),
        `${row} names no test`,
      );
  });

  test("every test that the threat model names exists in the file that it names", () => {
    for (const { row, file, name } of named) {
      const path = join(import.meta.dirname, file);
      assert.ok(file !== "" && existsSync(path), `${row}: there is no test/${file}`);
      assert.ok(stands(readFileSync(path, "utf8"), name), `${row}: test/${file} has no "${name}"`);
    }
  });

  test("no promise is left without a test", () => {
    assert.doesNotMatch(text, /without a test|not tested|no test yet/i);
  });
});
