// `npm run check`: types, lint, format, layout, stale generated docs. Every step runs; any failure fails.
import { spawnSync } from "node:child_process";

const STEPS: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ["types", "tsc", "-p", "."],
  ["lint", "oxlint", "--deny-warnings"],
  ["format", "oxfmt", "--check", "."],
  ["layout", "node", "--test", "--test-reporter=dot", "test/layout.test.ts", "test/api.test.ts"],
  ["generated docs", "node", "tools/generate.ts", "--check"],
];

let failed = 0;
for (const [name, command, ...args] of STEPS) {
  const run = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"] });
  const ok = run.status === 0;
  if (!ok) failed += 1;
  console.log(`${ok ? "ok    " : "FAILED"} ${name}`);
}
console.log(`${STEPS.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
