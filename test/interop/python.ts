import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder that is gone when the test is over. */
export type Folder = Disposable & {
  readonly path: (name: string) => string;
  /** Writes a file that only its owner reads; gives its path. */
  readonly write: (name: string, bytes: Uint8Array | string) => string;
};

export function makeFolder(): Folder {
  const root = mkdtempSync(join(tmpdir(), "ppml-interop-"));
  return {
    path: (name) => join(root, name),
    write: (name, bytes) => {
      writeFileSync(join(root, name), bytes, { mode: 0o600 });
      return join(root, name);
    },
    [Symbol.dispose]: () => {
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Runs a program and gives its output; its messages are in the error where it fails. */
export function run(command: string, ...args: string[]): string {
  const done = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  if (done.status !== 0)
    throw new Error(`${command} ended with ${done.status}: ${done.stderr}${done.stdout}`);
  return done.stdout;
}

/** Runs a script of this folder in the environment of `npm run test:interop`; gives its JSON. */
export function python(script: string, ...args: string[]): unknown {
  const interpreter = process.env["PPML_INTEROP_PYTHON"];
  if (interpreter === undefined) throw new Error("run these tests with: npm run test:interop");
  return JSON.parse(run(interpreter, join(import.meta.dirname, script), ...args));
}
