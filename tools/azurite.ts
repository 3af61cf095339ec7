import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { AZURITE_FOLDER, isAzuriteInstalled } from "../src/twin/adls/azurite.ts";

const WANTED = join(import.meta.dirname, "azurite");
const LOCK = "package-lock.json";

/**
 * Installs Azurite, with exactly the packages of tools/azurite/package-lock.json, where the twin looks for
 * it outside the tree; does nothing where it is there. Its 300 packages are not among the repository's own,
 * so that whoever runs neither the Azure tests nor their benchmarks does not wait for them.
 * @throws Error where npm fails
 */
export function ensureAzurite(): void {
  if (isCurrent()) return;
  const parent = dirname(AZURITE_FOLDER);
  mkdirSync(parent, { recursive: true });
  console.error(`Installing Azurite into ${AZURITE_FOLDER} ...`);
  // Made under another name and renamed when whole: nobody sees half of one, and two may make it.
  const made = mkdtempSync(join(parent, "making-"));
  try {
    cpSync(WANTED, made, { recursive: true });
    cpSync(join(WANTED, "..", "..", ".npmrc"), join(made, ".npmrc"));
    const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
    if (spawnSync("npm", args, { cwd: made, stdio: ["ignore", 2, 2] }).status !== 0)
      throw new Error("installing Azurite failed: read npm's message above, then run this again");
    putInPlace(made);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

function putInPlace(made: string): void {
  if (existsSync(AZURITE_FOLDER)) renameSync(AZURITE_FOLDER, join(made, "old"));
  try {
    renameSync(made, AZURITE_FOLDER);
  } catch (cause) {
    // Another run was faster, and what it made is as good.
    if (!isCurrent()) throw cause;
  }
  rmSync(join(AZURITE_FOLDER, "old"), { recursive: true, force: true });
}

function isCurrent(): boolean {
  const lock = join(AZURITE_FOLDER, LOCK);
  return (
    isAzuriteInstalled() &&
    existsSync(lock) &&
    readFileSync(lock, "utf8") === readFileSync(join(WANTED, LOCK), "utf8")
  );
}
