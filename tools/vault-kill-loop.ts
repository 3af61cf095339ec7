// Kills processes that change an embedded vault, many times: node tools/vault-kill-loop.ts --rounds N
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { makeFolder } from "../test/key/embedded/fixture.ts";
import { runKillLoop } from "../test/key/embedded/kill-loop.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "200" } } });
const rounds = Number(values.rounds);
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error("expected --rounds N, N from 1");

const folder = await makeFolder();
try {
  const report = await runKillLoop({
    path: folder.path("vault.db"),
    root: folder.root,
    rounds,
    longestMs: 1000,
    exists: existsSync,
    random: Math.random,
  });
  console.log(`nothing acknowledged was lost: ${JSON.stringify(report)}`);
} finally {
  await folder.dispose();
}
