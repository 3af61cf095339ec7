import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { PpmlError } from "../base/index.ts";

const POLL_MS = 50;
/** What the runtime and the engine need before they hold any data. */
const RUNTIME_MIB = 512;

/** Ends `child` when it passes its time or memory limit; tells why. */
export type Watchdog = Disposable & {
  /** The limit that was passed, or null. */
  verdict(): PpmlError | null;
  /** Rejects with the verdict; otherwise it stays open. */
  readonly passed: Promise<never>;
};

/** Starts to watch a running child. Memory is its anonymous resident set, read from /proc. */
export function watch(
  child: ChildProcess,
  limits: { readonly timeoutSeconds: number; readonly memoryMiB: number },
): Watchdog {
  let error: PpmlError | null = null;
  const passed = Promise.withResolvers<never>();
  passed.promise.catch(() => undefined);
  const stop = (found: PpmlError): void => {
    error ??= found;
    child.kill("SIGKILL");
    passed.reject(error);
  };
  const timeout = setTimeout(() => {
    stop(
      new PpmlError(
        "compute.timeout",
        `the job ran longer than its ${limits.timeoutSeconds} s: raise timeoutSeconds, or make the query smaller`,
      ),
    );
  }, limits.timeoutSeconds * 1000);
  const poll = setInterval(() => {
    const used = anonymousMiB(child.pid);
    if (used !== null && used > limits.memoryMiB + RUNTIME_MIB) stop(memoryError(limits.memoryMiB));
  }, POLL_MS);
  return {
    verdict: () => error,
    passed: passed.promise,
    [Symbol.dispose]: () => {
      clearTimeout(timeout);
      clearInterval(poll);
    },
  };
}

/** The error of a job that reached `memoryMiB`. */
export function memoryError(memoryMiB: number): PpmlError {
  return new PpmlError(
    "compute.memory",
    `the job reached its memory limit of ${memoryMiB} MiB: raise memoryMiB, or make the query smaller`,
  );
}

function anonymousMiB(pid: number | undefined): number | null {
  if (pid === undefined || process.platform !== "linux") return null;
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const match = /^RssAnon:\s+(\d+) kB$/m.exec(status);
    return match === null ? null : Number(match[1]) / 1024;
  } catch {
    // The process has just ended: its exit is reported elsewhere.
    return null;
  }
}
