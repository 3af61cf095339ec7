import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { PpmlError } from "../base/index.ts";
import { makeRamDisk } from "./ram-disk.ts";
import { runCommand } from "./run-command.ts";

/** A folder in memory for one worker's opened columns; disposing takes it away. */
export type WorkDirectory = Disposable & { readonly path: string };

/**
 * Makes the folder of a worker: on Linux an empty one on /dev/shm, over which the sandbox mounts a
 * tmpfs of its own; on macOS a RAM disk of `bytes`. Never on a disk.
 * @throws launch.isolation on other systems, and where macOS makes no RAM disk
 */
export function makeWorkDirectory(options: {
  readonly platform: NodeJS.Platform;
  readonly bytes: number;
}): WorkDirectory {
  const { platform, bytes } = options;
  if (platform === "linux") {
    const path = mkdtempSync("/dev/shm/ppml-worker-");
    return { path, [Symbol.dispose]: () => rmdirSync(path) };
  }
  if (platform === "darwin")
    return makeRamDisk({ parent: tmpdir(), run: runCommand, pid: process.pid, isAlive }, bytes);
  throw new PpmlError(
    "launch.isolation",
    `opened columns have a place in memory on Linux and macOS only, this is ${platform}: run jobs on Linux`,
  );
}

/** What a job's person is to know where the worker is not shut in; null where it is. */
export function isolationNotice(
  isolation: "namespaces" | "user-namespaces" | "none",
  platform: NodeJS.Platform,
): string | null {
  if (isolation !== "none") return null;
  return platform === "darwin"
    ? "macOS, for development only: opened columns lie on a RAM disk, and the worker keeps its network; its memory is not watched, and macOS may swap it out, encrypted (simulation only)"
    : "this machine allows no namespaces: the worker runs without network isolation (simulation only)";
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as another user.
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}
