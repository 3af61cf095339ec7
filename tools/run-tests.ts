// Runs the tests that need only Node. Arguments are test files or folders; without any, all of test/.
import { spawnSync } from "node:child_process";
import { globSync, statSync } from "node:fs";
import { join } from "node:path";

const TIERS = ["interop"]; // each has a script of its own
const wanted = process.argv.slice(2);
const files =
  wanted.length > 0
    ? wanted.flatMap((path) =>
        statSync(path).isDirectory() ? globSync(join(path, "**/*.test.ts")) : [path],
      )
    : globSync("test/**/*.test.ts").filter(
        (path) => !TIERS.some((tier) => path.startsWith(join("test", tier))),
      );

const run = spawnSync(
  process.execPath,
  ["--test", "--test-concurrency=2", "--test-reporter=spec", ...files.sort()],
  { stdio: ["ignore", "inherit", "inherit"] },
);
process.exit(run.status ?? 1);
