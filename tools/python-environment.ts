import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** What a Python environment holds, and how to see that it is whole. */
export type PythonEnvironment = {
  /** Its folder's name. */
  readonly name: string;
  /** A requirements file with exact versions; wheels only. */
  readonly requirements: string;
  /** Python that fails where a package is missing. */
  readonly probe: string;
};

/** What `command` prints, or null where it does not run. */
export function outputOf(command: string, ...args: string[]): string | null {
  const run = spawnSync(command, args, { encoding: "utf8" });
  return run.status === 0 ? run.stdout.trim() : null;
}

/**
 * The folder of programs (`python` among them) of a Python environment outside the tree, named for
 * what is in it; made where it is missing or damaged.
 * @throws Error where there is no Python or pip fails
 */
export function pythonEnvironment(wanted: PythonEnvironment): string {
  const version = outputOf("python3", "-c", "import sys; print(sys.version, sys.prefix)");
  if (version === null)
    throw new Error("python3 (3.10 or newer, with venv and pip) is not on the PATH: install it");
  const hash = createHash("sha256").update(version).update(readFileSync(wanted.requirements));
  const folder = join(homedir(), ".cache", "ppml", hash.digest("hex").slice(0, 16));
  const target = join(folder, wanted.name);
  const programs = join(target, "bin");
  if (existsSync(target) && outputOf(join(programs, "python"), "-c", wanted.probe) === null) {
    // One that was damaged, or whose Python is gone.
    const broken = mkdtempSync(join(folder, "broken-"));
    renameSync(target, join(broken, "venv"));
    rmSync(broken, { recursive: true, force: true });
  }
  if (!existsSync(target)) makeEnvironment(wanted, { target, folder });
  return programs;
}

function makeEnvironment(
  { requirements }: PythonEnvironment,
  { target, folder }: { readonly target: string; readonly folder: string },
): void {
  mkdirSync(folder, { recursive: true });
  // Made under another name and renamed when whole: nobody sees half of one, and two may make it.
  const made = mkdtempSync(join(folder, "making-"));
  console.error(`Installing Python packages into ${target} ...`);
  const install = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "-r", requirements];
  const steps: readonly (readonly [string, readonly string[]])[] = [
    ["python3", ["-m", "venv", made]],
    [join(made, "bin", "python"), [...install, "--no-input", "--disable-pip-version-check"]],
  ];
  for (const [command, args] of steps) {
    if (spawnSync(command, args, { stdio: ["ignore", 2, 2] }).status === 0) continue;
    rmSync(made, { recursive: true, force: true });
    throw new Error(
      "making the Python environment failed: read the message above (on Debian: python3-venv)",
    );
  }
  try {
    renameSync(made, target);
  } catch (cause) {
    rmSync(made, { recursive: true, force: true });
    // Another run was faster, and its environment is as good.
    if (!existsSync(join(target, "bin", "python"))) throw cause;
  }
}
