import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { runCli } from "../../src/cli/run.ts";

/** The launcher of the clone. */
export const PPML = join(import.meta.dirname, "../../bin/ppml");

/** What a run of the command line gave. */
export type Run = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** Runs `bin/ppml` as a user would, without a terminal. */
export async function ppml(
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly program?: string;
  } = {},
): Promise<Run> {
  const child = spawn(options.program ?? PPML, args, {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // a session of its own: there is no /dev/tty to ask on
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

/** A new folder that is removed after the test. */
export function temporaryFolder(context: Pick<TestContext, "after">): string {
  const folder = mkdtempSync(join(tmpdir(), "ppml cli "));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a command line in this process: faster, for what needs no process of its own. */
export async function runInProcess(
  args: readonly string[],
  options: { readonly cwd?: string } = {},
): Promise<Run> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const texts = Promise.all([text(stdout), text(stderr)]);
  const host = { stdout, stderr, env: {}, cwd: () => options.cwd ?? tmpdir() };
  const code = await runCli(args, host);
  stdout.end();
  stderr.end();
  const [out, err] = await texts;
  return { code, stdout: out, stderr: err };
}
