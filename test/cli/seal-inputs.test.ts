import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { collectInputs } from "../../src/cli/seal-inputs.ts";

const folder = mkdtempSync(join(tmpdir(), "ppml inputs "));
after(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const csv = write("t.csv", "origin,delay\nAMS,5\n");
const table = write("t.parquet", "PAR1 and what is between PAR1");
const REST = { name: "rest", kek: "rest" };
const PAY = { name: "sensitive", kek: "pay", columns: ["delay"] };

async function kindsOf(
  source: string,
  groups: readonly object[],
  kind: "auto" | "file" | "table" = "auto",
): Promise<readonly string[]> {
  const project = { resolve: (path: string) => path };
  const config = { source, kind, groups };
  type Asked = Parameters<typeof collectInputs>;
  const found = await collectInputs(project as Asked[0], {
    name: "trips",
    config: config as Asked[1]["config"],
  });
  return found.map((one) => one.kind);
}

test("a file is a table where it begins and ends as Parquet does, and bytes otherwise", async () => {
  assert.deepEqual(await kindsOf(table, [REST, PAY]), ["table"]);
  assert.deepEqual(await kindsOf(csv, [REST]), ["file"]);
});

test("T176: a column with a KEK of its own is not sealed under another one, because its file is no Parquet", async () => {
  await assert.rejects(kindsOf(csv, [REST, PAY]), {
    code: "seal.plan",
    message: /t\.csv of trips is no Parquet file .* columns of group sensitive \(delay\)/,
  });
});

test("T176: what is named as Parquet and is empty or cut off does not replace a table, unless it is said", async () => {
  for (const text of ["", "PAR1", "PAR1 cut off in the middle"]) {
    const path = write("cut.parquet", text);
    await assert.rejects(kindsOf(path, [REST]), {
      code: "seal.plan",
      message: /cut\.parquet of trips is named as Parquet and is none/,
    });
    assert.deepEqual(await kindsOf(path, [REST], "file"), ["file"]);
  }
});
