import assert from "node:assert/strict";
import { appendFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runInProcess } from "../../ppml.ts";

async function ppml(cwd: string, line: string) {
  const { code, stdout } = await runInProcess(line.split(" "), { cwd });
  return { code, out: stdout };
}

test("a rotated KEK's data is re-wrapped, and verify refuses a file that was extended", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ppml-cli-"));
  try {
    for (const line of ["init --template people --rows 50", "data seal", "key rotate people"])
      assert.equal((await ppml(folder, line)).code, 0, line);
    const { code, out } = await ppml(folder, "data rewrap --json");
    assert.equal(code, 0);
    assert.match(out, /"oldFound": ?\[\]/);
    assert.equal((await ppml(folder, "data verify")).code, 0);
    const names = await readdir(folder, { recursive: true });
    const stored = names.find((name) => /\/v1\/[^/]+$/.test(name));
    assert.ok(stored !== undefined);
    assert.match((await ppml(folder, `data inspect ${stored}`)).out, /sealed file/);
    await appendFile(join(folder, stored), "x");
    assert.equal((await ppml(folder, "data verify")).code, 1);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
