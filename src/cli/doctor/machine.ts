import { accessSync, constants, readFileSync, statfsSync } from "node:fs";
import { freemem, release, totalmem } from "node:os";
import { join } from "node:path";
import { probeIsolation } from "../../compute/sandbox.ts";
import type { Mode } from "../../format/kek.ts";
import type { Finding } from "./finding.ts";
import {
  judgeCorePattern,
  judgeIsolation,
  judgeMemory,
  judgeNode,
  judgePlatform,
  judgePrograms,
  judgeSwap,
  judgeTmpfs,
} from "./judge.ts";

const TMPFS_MAGIC = 0x0102_1994;
/** The worker is started with this path alone, whatever the user's is. */
const SYSTEM_FOLDERS = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Looks at the machine; `mode` is the project's, null where there is none. */
export function examineMachine(mode: Mode | null): readonly Finding[] {
  const findings = [
    judgeNode(process.versions.node),
    judgePlatform(process.platform, release()),
    judgeMemory(totalmem(), freemem()),
  ];
  if (process.platform !== "linux") return findings;
  const missing = ["unshare", "prlimit", "setpriv"].filter((name) => !isInstalled(name));
  return [
    ...findings,
    judgeTmpfs(statTmpfs("/dev/shm")),
    judgePrograms(missing, mode),
    judgeIsolation(missing.includes("unshare") ? "none" : probeIsolation(), mode),
    judgeSwap(readText("/proc/swaps"), mode),
    judgeCorePattern(readText("/proc/sys/kernel/core_pattern"), mode),
  ];
}

/** Tells whether a program is in one of the system's folders. */
export function isInstalled(name: string): boolean {
  return SYSTEM_FOLDERS.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function statTmpfs(path: string) {
  try {
    const { type, bsize, blocks, bavail } = statfsSync(path);
    return { isTmpfs: type === TMPFS_MAGIC, sizeBytes: blocks * bsize, freeBytes: bavail * bsize };
  } catch {
    return null;
  }
}

/** The text of a file of /proc; empty where the kernel hides it. */
function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
