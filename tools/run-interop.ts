// `npm run test:interop`: our formats and scripts against other people's programs, both ways. Python's packages
// go into an environment of their own outside the tree, named for what is in it.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const REQUIREMENTS = join(ROOT, "test", "interop", "requirements.txt");

/** What a command prints, or null where it does not run. */
function outputOf(command: string, ...args: string[]): string | null {
  const run = spawnSync(command, args, { encoding: "utf8" });
  return run.status === 0 ? run.stdout.trim() : null;
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

function makeEnvironment(target: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  // Made under another name and renamed when whole: nobody sees half of one, and two may make it.
  const made = mkdtempSync(join(folder, "making-"));
  console.error(`Installing Python packages for the interop tests into ${target} ...`);
  const install = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "-r", REQUIREMENTS];
  const steps: readonly (readonly [string, readonly string[]])[] = [
    ["python3", ["-m", "venv", made]],
    [join(made, "bin", "python"), [...install, "--no-input", "--disable-pip-version-check"]],
  ];
  for (const [command, args] of steps) {
    if (spawnSync(command, args, { stdio: ["ignore", 2, 2] }).status === 0) continue;
    rmSync(made, { recursive: true, force: true });
    fail("Making the Python environment failed: read the message above (on Debian: python3-venv).");
  }
  try {
    renameSync(made, target);
  } catch (cause) {
    rmSync(made, { recursive: true, force: true });
    // Another run was faster, and its environment is as good.
    if (!existsSync(join(target, "bin", "python"))) throw cause;
  }
}

function environment(pythonVersion: string): string {
  const hash = createHash("sha256").update(pythonVersion).update(readFileSync(REQUIREMENTS));
  const folder = join(homedir(), ".cache", "ppml", hash.digest("hex").slice(0, 16));
  const target = join(folder, "interop-venv");
  const python = join(target, "bin", "python");
  const packages = "import cryptography, pyarrow, tink";
  if (existsSync(target) && outputOf(python, "-c", packages) === null) {
    // One that was damaged, or whose Python is gone.
    const broken = mkdtempSync(join(folder, "broken-"));
    renameSync(target, join(broken, "venv"));
    rmSync(broken, { recursive: true, force: true });
  }
  if (!existsSync(target)) makeEnvironment(target, folder);
  return python;
}

const pythonVersion = outputOf("python3", "-c", "import sys; print(sys.version, sys.prefix)");
const missing = [
  ...(pythonVersion === null ? ["python3 (3.10 or newer, with venv and pip)"] : []),
  ...(outputOf("openssl", "version") === null ? ["openssl (3.0 or newer)"] : []),
  ...["zsh", "fish"].filter((shell) => outputOf(shell, "--version") === null),
];
if (pythonVersion === null || missing.length > 0)
  fail(
    `The interop tests need ${missing.join(" and ")} on the PATH: install what is missing (on Debian: apt-get install zsh fish), then run again.`,
  );

const wanted = process.argv.slice(2);
const files = wanted.length > 0 ? wanted : globSync("test/interop/*.test.ts", { cwd: ROOT }).sort();
const run = spawnSync(
  process.execPath,
  ["--test", "--test-concurrency=2", "--test-reporter=spec", ...files],
  {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, PPML_INTEROP_PYTHON: environment(pythonVersion) },
  },
);
process.exit(run.status ?? 1);
