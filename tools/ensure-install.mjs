// Installs the dependencies when node_modules is missing or stale, and does nothing when it is not.
// Plain JavaScript without dependencies: it runs on whatever Node the machine has.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, "node_modules", ".ppml-installed");
const wanted = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .update(readFileSync(join(root, "package.json")))
  .digest("hex");

const isFresh =
  existsSync(stamp) &&
  readFileSync(stamp, "utf8") === wanted &&
  existsSync(join(root, "node_modules", ".bin", "node"));

if (!isFresh) {
  process.stderr.write("Installing dependencies (npm ci) ...\n");
  const npm = process.env.npm_execpath;
  // Exactly what package-lock.json holds; npm install may rewrite it for this machine.
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const done =
    npm !== undefined && npm.endsWith(".js")
      ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ["ignore", 2, 2] })
      : spawnSync("npm", args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (done.status !== 0) {
    process.stderr.write("npm ci failed: read its message above, then run this again.\n");
    process.exit(1);
  }
  writeFileSync(stamp, wanted);
}
