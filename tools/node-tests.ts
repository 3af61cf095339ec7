import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

const ROOT = join(import.meta.dirname, "..");
const skipsSchema = z.array(z.strictObject({ test: z.string().min(1), reason: z.string().min(1) }));

/**
 * Runs test files, two at a time; gives the exit code. With CI=true a skipped test is a failure, unless
 * test/skips.json lists it: {"test", "reason"}.
 * @param options.env of the tests
 */
export function runTestFiles(
  files: readonly string[],
  options: { readonly env: Readonly<Record<string, string | undefined>> },
): number {
  const folder = mkdtempSync(join(tmpdir(), "ppml-tests-"));
  try {
    const report = join(folder, "report.tap");
    const reporters = [
      "--test-reporter=spec",
      "--test-reporter-destination=stdout",
      "--test-reporter=tap",
      `--test-reporter-destination=${report}`,
    ];
    const run = spawnSync(
      process.execPath,
      ["--test", "--test-concurrency=2", ...reporters, ...files.toSorted()],
      { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"], env: options.env },
    );
    const status = run.status ?? 1;
    if (process.env["CI"] !== "true") return status;
    const unlisted = unlistedSkips(readFileSync(report, "utf8"));
    // On stderr: what node:test says in the end stays the last of the output.
    for (const name of unlisted)
      console.error(`skipped, and test/skips.json does not list it: ${name}`);
    return status === 0 && unlisted.length > 0 ? 1 : status;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Names of the tests that a TAP report says were skipped, and that the list does not allow. */
function unlistedSkips(report: string): string[] {
  const list: unknown = JSON.parse(readFileSync(join(ROOT, "test", "skips.json"), "utf8"));
  const allowed = new Set(skipsSchema.parse(list).map(({ test }) => test));
  return report.split("\n").flatMap((line) => {
    // TAP 14: "#" in a name is escaped, so that the first bare one begins the directive.
    const name = /^\s*(?:not )?ok \d+ - (.*?) # SKIP\b/i.exec(line)?.[1];
    const plain = name?.replace(/\\([\\#])/g, "$1");
    return plain === undefined || allowed.has(plain) ? [] : [plain];
  });
}
