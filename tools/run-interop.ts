// `npm run test:interop`: our formats and scripts against other people's programs, both ways.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { outputOf, pythonEnvironment } from "./python-environment.ts";

const ROOT = join(import.meta.dirname, "..");

const missing = [
  ...(outputOf("python3", "--version") === null
    ? ["python3 (3.10 or newer, with venv and pip)"]
    : []),
  ...(outputOf("openssl", "version") === null ? ["openssl (3.0 or newer)"] : []),
  ...["zsh", "fish"].filter((shell) => outputOf(shell, "--version") === null),
];
if (missing.length > 0) {
  console.error(
    `The interop tests need ${missing.join(" and ")} on the PATH: install what is missing (on Debian: apt-get install zsh fish), then run again.`,
  );
  process.exit(1);
}
const programs = pythonEnvironment({
  name: "interop-venv",
  requirements: join(ROOT, "test", "interop", "requirements.txt"),
  probe: "import cryptography, pyarrow, tink",
});
const wanted = process.argv.slice(2);
const files = wanted.length > 0 ? wanted : globSync("test/interop/*.test.ts", { cwd: ROOT }).sort();
const run = spawnSync(
  process.execPath,
  ["--test", "--test-concurrency=2", "--test-reporter=spec", ...files],
  {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, PPML_INTEROP_PYTHON: join(programs, "python") },
  },
);
process.exit(run.status ?? 1);
