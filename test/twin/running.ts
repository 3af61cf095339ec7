import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { withTwin } from "../../src/twin/environment.ts";
import { startTwin } from "../../src/twin/start.ts";
import type { Twin, TwinOptions } from "../../src/twin/start.ts";

const ROOT = join(import.meta.dirname, "../..");

/** A twin of a new folder, stopped and removed after the test. Its log is kept in `log`. */
export async function runningTwin(
  context: Pick<TestContext, "after">,
  options: Partial<TwinOptions> = {},
): Promise<Twin & { readonly log: string[] }> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "ppml twin "));
  const log: string[] = [];
  const twin = await startTwin({
    clock: Date.now,
    log: (line) => log.push(line),
    ...options,
    folder,
  });
  context.after(async () => {
    await twin.close();
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  });
  return { ...twin, log };
}

/** What a program said. */
export type Said = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

/**
 * Runs a module's text with Node in the twin's environment, as an unmodified program would be: bare
 * imports are those of this package. What it writes with console.log comes back.
 */
export async function runInTwin(
  twin: Pick<Twin, "environment">,
  source: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Said> {
  const child = spawn(process.execPath, ["--input-type=module", "-"], {
    cwd: ROOT,
    env: withTwin({ PATH: process.env["PATH"], ...environment }, twin.environment),
    stdio: "pipe",
  });
  child.stdin.end(source);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}
