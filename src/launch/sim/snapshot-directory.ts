import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PpmlError } from "../../base/index.ts";

const TMPFS = "/dev/shm";
const PREFIX = "ppml-tee";

/**
 * The folder for snapshots: Linux's tmpfs where it has `bytes` of room and may run programs (a
 * container's often cannot), else the system's temporary folder. A snapshot is code, no secret.
 */
export function snapshotParent(bytes: number): string {
  if (process.platform !== "linux" || !existsSync(TMPFS)) return tmpdir();
  const { bavail, bsize } = statfsSync(TMPFS);
  return bavail * bsize > bytes && !isNoExec(TMPFS) ? TMPFS : tmpdir();
}

/**
 * Makes a new folder of mode 0700 and removes those that killed processes left behind.
 * @throws launch.image where a folder above would give the snapshot modules that nobody measured
 */
export function makeSnapshotDirectory(parent: string): string {
  removeStale(parent);
  for (let directory = parent; ; directory = dirname(directory)) {
    // Node looks for a package in every folder above, too.
    if (existsSync(join(directory, "node_modules")))
      throw new PpmlError(
        "launch.image",
        `${join(directory, "node_modules")} lies above the snapshot, which could load from it: remove it or choose another folder`,
      );
    if (dirname(directory) === directory) break;
  }
  return mkdtempSync(join(parent, `${PREFIX}-${pidNamespace()}-${process.pid}-`));
}

/** Removes a snapshot, whose folders are read-only. Missing ones are no error. */
export function removeSnapshotDirectory(directory: string): void {
  if (lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  makeWritable(directory);
  rmSync(directory, { recursive: true, force: true });
}

function makeWritable(directory: string): void {
  chmodSync(directory, 0o700);
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) makeWritable(join(directory, entry.name));
}

/** Only folders of this user whose process, of this very pid namespace, is gone. */
function removeStale(parent: string): void {
  const own = new RegExp(`^${PREFIX}-${pidNamespace()}-(\\d+)-`);
  for (const name of readdirSync(parent)) {
    const pid = Number(own.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    const directory = join(parent, name);
    const stats = lstatSync(directory, { throwIfNoEntry: false });
    if (stats?.isDirectory() === true && stats.uid === process.getuid?.())
      removeSnapshotDirectory(directory);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is another user's, but it lives.
    return error instanceof Error && "code" in error && error.code !== "ESRCH";
  }
}

/** A pid means something only in its namespace; containers may share /dev/shm. */
function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
  } catch {
    return "0";
  }
}

function isNoExec(mountPoint: string): boolean {
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  const options = mounts.map((line) => line.split(" ")).findLast((part) => part[1] === mountPoint);
  return options?.[3]?.split(",").includes("noexec") === true;
}
