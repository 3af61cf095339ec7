import { spawnSync } from "node:child_process";

/** What a program of the system said: its exit status (null where it did not run), and its output. */
export type Ran = { readonly status: number | null; readonly stdout: string };

/** Runs a program of the system to its end; injected where tests have no such program. */
export type RunCommand = (file: string, args: readonly string[]) => Ran;

const TIMEOUT_MS = 30_000;

/** Runs a program by its absolute path, with an empty environment, for at most 30 seconds. */
export function runCommand(file: string, args: readonly string[]): Ran {
  const { status, stdout } = spawnSync(file, args, {
    encoding: "utf8",
    env: {},
    stdio: ["ignore", "pipe", "ignore"],
    timeout: TIMEOUT_MS,
  });
  return { status, stdout: stdout ?? "" };
}
