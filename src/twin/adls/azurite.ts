import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { PpmlError } from "../../base/index.ts";

/** A running Azurite that keeps the blobs of one storage account. */
export type Azurite = {
  readonly account: string;
  /** On 127.0.0.1. */
  readonly port: number;
  /** The key that Azurite takes: made here, known to the double alone. */
  readonly key: Uint8Array;
  readonly close: () => Promise<void>;
};

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
const VERSION = "3.37.0";
const ENTRY = "azurite/dist/src/blob/main.js";

/**
 * Runs in Azurite before it: its standard input is a pipe of ours, which ends however we end, by
 * SIGKILL too. Then Azurite writes what it has and ends, so that no two ever keep one folder.
 */
const LIFELINE = `process.stdin.on("error", () => {}).on("close", () => {
  setTimeout(() => process.exit(1), 3000).unref();
  process.kill(process.pid, "SIGTERM");
}).resume();`;

/** Where Azurite is looked for when it is not installed beside ppml: a folder with node_modules. */
export const AZURITE_FOLDER = join(homedir(), ".cache", "ppml", `azurite-${VERSION}`);

/** How to have Azurite where it is missing. */
export const AZURITE_REMEDY = `install it: npm install --prefix ${forShell(AZURITE_FOLDER)} azurite@${VERSION}`;

function forShell(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/**
 * Starts Azurite on a free loopback port, for one account; it ends with this process. It is optional for
 * users: where the package is not installed, the message says how to install it.
 * @param options.folder where the blobs are kept; null for memory only
 * @throws azure.unreachable where it is not installed or does not start
 */
export async function startAzurite(options: {
  readonly account: string;
  readonly folder: string | null;
  readonly key?: Uint8Array;
}): Promise<Azurite> {
  const { account, folder } = options;
  const key = options.key ?? new Uint8Array(randomBytes(64));
  const place = folder === null ? ["--inMemoryPersistence"] : ["--location", folder];
  const flags = ["--silent", "--disableTelemetry", "--skipApiVersionCheck"];
  const lifeline = ["--import", `data:text/javascript,${encodeURIComponent(LIFELINE)}`];
  const child = spawn(
    process.execPath,
    [...lifeline, findAzurite(), "--blobHost", "127.0.0.1", "--blobPort", "0", ...place, ...flags],
    {
      env: {
        PATH: process.env["PATH"],
        AZURITE_ACCOUNTS: `${account}:${Buffer.from(key).toString("base64")}`,
      },
      stdio: ["pipe", "pipe", "pipe"],
    },
  );
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  try {
    const port = await listening(child);
    const close = async (): Promise<void> => {
      process.off("exit", end);
      await stop(child);
    };
    return { account, port, key, close };
  } catch (error) {
    process.off("exit", end);
    child.kill("SIGKILL");
    throw error;
  }
}

/** Whether Azurite is installed: it is optional for users. */
export function isAzuriteInstalled(): boolean {
  return resolveEntry() !== null;
}

function findAzurite(): string {
  const entry = resolveEntry();
  if (entry !== null) return entry;
  throw new PpmlError("azure.unreachable", "Azurite, which keeps the double's blobs, is missing", {
    detail: { remedy: AZURITE_REMEDY },
  });
}

function resolveEntry(): string | null {
  for (const from of [import.meta.url, join(AZURITE_FOLDER, "package.json")])
    try {
      return createRequire(from).resolve(ENTRY);
    } catch {
      // Not there: the next place, or none.
    }
  return null;
}

function listening(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = "";
    const fail = (why: string): void => {
      clearTimeout(timer);
      reject(new PpmlError("azure.unreachable", `Azurite did not start: ${why}`));
    };
    const timer = setTimeout(
      () => fail(`no answer in ${START_TIMEOUT_MS / 1000} s`),
      START_TIMEOUT_MS,
    );
    const take = (chunk: Buffer): void => {
      if (said.length < 10_000) said += chunk.toString("utf8");
      const match = /successfully listens on https?:\/\/127\.0\.0\.1:(\d+)/.exec(said);
      if (match === null) return;
      clearTimeout(timer);
      resolve(Number(match[1]));
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    child.once("error", (error) => fail(error.message));
    child.once("exit", (code) => fail(`it ended with ${code ?? "a signal"}: ${said.slice(-500)}`));
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  // The end of the lifeline: it writes what it has.
  child.stdin?.end();
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}
