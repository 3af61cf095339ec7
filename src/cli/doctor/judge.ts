import type { Mode } from "../../format/kek.ts";
import type { Isolation } from "../../compute/sandbox.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

// Pure: what the machine says comes in, a finding goes out.

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** When this version was made: an earlier clock is wrong. */
const MADE_MS = Date.parse("2026-11-01T00:00:00Z");

/** Node's version, such as `24.1.0`. */
export function judgeNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 22 || (major === 22 && minor >= 18)
    ? ok("node", `Node.js ${version}`)
    : fail("node", `Node.js ${version}`, "install Node.js 22.18 or newer: https://nodejs.org");
}

/** The operating system; a TEE needs Linux, and so does the worker's isolation. */
export function judgePlatform(platform: string, release: string): Finding {
  if (platform === "linux") return ok("platform", `Linux ${release}`);
  if (platform === "darwin")
    return warn(
      "platform",
      `macOS (Darwin ${release}): for development; simulated jobs run with a RAM disk in place of a tmpfs, without isolation, and there is no TEE`,
      "run production jobs on Linux",
    );
  return warn(
    "platform",
    `${platform} ${release}: keys, sealing and verifying work; no job runs, and there is no TEE`,
    "run jobs on Linux",
  );
}

/** Total and free memory in bytes. */
export function judgeMemory(totalBytes: number, freeBytes: number): Finding {
  const found = `${sizeText(freeBytes)} of ${sizeText(totalBytes)} free`;
  return totalBytes >= 2 * GIB
    ? ok("memory", found)
    : warn("memory", found, "give jobs a lower limits.memoryMiB in ppml.yaml");
}

/** /dev/shm: whether it is a tmpfs, and its bytes; null where it is not there. */
export function judgeTmpfs(
  tmpfs: {
    readonly isTmpfs: boolean;
    readonly sizeBytes: number;
    readonly freeBytes: number;
  } | null,
): Finding {
  if (tmpfs === null || !tmpfs.isTmpfs)
    return fail(
      "tmpfs",
      tmpfs === null ? "/dev/shm is not there" : "/dev/shm is not a tmpfs",
      "mount one: mount -t tmpfs -o size=1g,nosuid,nodev tmpfs /dev/shm",
    );
  const found = `/dev/shm has ${sizeText(tmpfs.freeBytes)} of ${sizeText(tmpfs.sizeBytes)} free`;
  return tmpfs.freeBytes >= 256 * MIB
    ? ok("tmpfs", found)
    : warn(
        "tmpfs",
        found,
        "enlarge it: mount -o remount,size=1g /dev/shm (a pod: an emptyDir of medium Memory)",
      );
}

/** Which of the programs that shut the worker in are missing. */
export function judgePrograms(missing: readonly string[], mode: Mode | null): Finding {
  if (missing.length === 0) return ok("programs", "unshare, prlimit and setpriv are there");
  const found = `missing: ${missing.join(", ")}`;
  const remedy =
    "install util-linux (Debian, Ubuntu: apt install util-linux; Alpine: apk add util-linux)";
  return (mode === "production" ? fail : warn)("programs", found, remedy);
}

/** What the kernel allows for shutting the worker in. */
export function judgeIsolation(isolation: Isolation, mode: Mode | null): Finding {
  switch (isolation) {
    case "namespaces":
      return ok("isolation", "the worker gets namespaces of its own (as root)");
    case "user-namespaces":
      return ok("isolation", "the worker gets namespaces of its own (unprivileged)");
    case "none":
      break;
  }
  return (mode === "production" ? fail : warn)(
    "isolation",
    "no namespaces: the worker would keep its network; production refuses to run jobs",
    "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu), or run as root in a container that may unshare",
  );
}

/** The text of /proc/swaps. */
export function judgeSwap(text: string, mode: Mode | null): Finding {
  const devices = text
    .split("\n")
    .slice(1)
    .flatMap((line) => line.split(/\s+/)[0] ?? [])
    .filter((name) => name !== "");
  if (devices.length === 0) return ok("swap", "no swap");
  return (mode === "production" ? fail : warn)(
    "swap",
    `swap is on (${devices.join(", ")}): plaintext in memory may reach the disk`,
    "turn it off where jobs run: swapoff -a, and remove it from /etc/fstab",
  );
}

/** The text of /proc/sys/kernel/core_pattern. A program behind a pipe gets cores whatever the limit. */
export function judgeCorePattern(text: string, mode: Mode | null): Finding {
  const pattern = text.trim();
  if (!pattern.startsWith("|"))
    return ok("cores", "core dumps are files, which the worker's limit forbids");
  return (mode === "production" ? fail : warn)(
    "cores",
    `core dumps go to a program (${pattern.slice(0, 60)}), which the worker's limit of 0 does not stop`,
    "sysctl kernel.core_pattern=core where jobs run",
  );
}

/** The clock against what cannot be: before this version was made, or before the project's file. */
export function judgeClock(nowMs: number, newestFileMs: number | null): Finding {
  const now = new Date(nowMs).toISOString();
  const remedy = "set the clock (NTP): jobs, grants and certificates have times";
  if (nowMs < MADE_MS) return fail("clock", `${now} is before this version was made`, remedy);
  if (newestFileMs !== null && newestFileMs > nowMs + 5 * 60_000)
    return warn("clock", `${now}, but ppml.yaml was changed later than that`, remedy);
  return ok("clock", now);
}

function sizeText(bytes: number): string {
  return bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GiB` : `${Math.floor(bytes / MIB)} MiB`;
}
