// Runs the tests that need only Node. Arguments are test files or folders; without any, all of test/.
// With CI=true a skipped test is a failure, unless test/skips.json lists it: {"test", "reason"}.
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

const skipsSchema = z.array(z.strictObject({ test: z.string().min(1), reason: z.string().min(1) }));

const COMPILE_CACHE = join(import.meta.dirname, "..", "node_modules", ".cache", "compile");
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

/** Names of the tests that a TAP report says were skipped. */
function skippedTests(report: string): string[] {
  return report.split("\n").flatMap((line) => {
    // TAP 14: "#" in a name is escaped, so that the first bare one begins the directive.
    const name = /^\s*(?:not )?ok \d+ - (.*?) # SKIP\b/i.exec(line)?.[1];
    return name === undefined ? [] : [name.replace(/\\([\\#])/g, "$1")];
  });
}

const folder = mkdtempSync(join(tmpdir(), "ppml-tests-"));
const report = join(folder, "report.tap");
const reporters = [
  "--test-reporter=spec",
  "--test-reporter-destination=stdout",
  "--test-reporter=tap",
  `--test-reporter-destination=${report}`,
];
const run = spawnSync(
  process.execPath,
  ["--test", "--test-concurrency=2", ...reporters, ...files.sort()],
  {
    stdio: ["ignore", "inherit", "inherit"],
    // Every test file is a process of its own, and most load the same modules.
    env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...process.env },
  },
);
let status = run.status ?? 1;
if (process.env["CI"] === "true") {
  const skips = join(import.meta.dirname, "..", "test", "skips.json");
  const allowed = skipsSchema.parse(JSON.parse(readFileSync(skips, "utf8")));
  for (const name of skippedTests(readFileSync(report, "utf8"))) {
    if (allowed.some(({ test }) => test === name)) continue;
    // On stderr: what node:test says in the end stays the last of the output.
    console.error(`skipped, and test/skips.json does not list it: ${name}`);
    status = status === 0 ? 1 : status;
  }
}
rmSync(folder, { recursive: true, force: true });
process.exit(status);
