import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { makeFolder } from "./fixture.ts";
import { runKillLoop } from "./kill-loop.ts";

test("15 times two processes are killed while they change a vault: all that was acknowledged is there", async (context) => {
  const folder = await makeFolder();
  try {
    const report = await runKillLoop({
      path: folder.path("vault.db"),
      root: folder.root,
      rounds: 15,
      longestMs: 200,
      exists: existsSync,
      random: Math.random,
    });
    context.diagnostic(JSON.stringify(report));
    assert.ok(report.acknowledged >= 30);
  } finally {
    await folder.dispose();
  }
});
