import { createReadStream, rmdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { asPpmlError, PpmlError, Secret } from "../base/index.ts";
import { parseJson } from "../format/jcs.ts";
import { parseWith } from "../format/schema.ts";
import { openEmbeddedVault } from "../key/embedded/embedded-vault.ts";
import type { VaultRoot } from "../key/root-key.ts";
import { createBrokerApp } from "./broker-app.ts";
import { sentCollateral } from "./collateral.ts";
import { openBrokerState } from "./create.ts";
import { listenOnSocket } from "./listen.ts";
import { createBrokerLogger, LOG_LEVELS } from "./logger.ts";

const MAX_CONFIG_BYTES = 64 * 1024;
const MAX_PASSPHRASE_BYTES = 4096;
const PASSPHRASE_FD = 3;

/**
 * The line of JSON that a broker process reads from its standard input, which then stays open: the
 * broker ends when it closes. Without a root-key file the passphrase comes on descriptor 3.
 */
const processConfigSchema = z.strictObject({
  v: z.literal(1),
  socketPath: z.string().min(1),
  /** The folder that `createBrokerState` made. */
  stateDir: z.string().min(1),
  vaultPath: z.string().min(1),
  rootKeyFile: z.string().min(1).nullable(),
  logLevel: z.enum(LOG_LEVELS),
});

await run();

async function run(): Promise<void> {
  try {
    // Before anything is read: whoever started us may be gone already.
    process.on("SIGTERM", () => process.exit(0));
    process.on("SIGINT", () => process.exit(0));
    const line = await readConfigLine();
    process.stdin.on("end", () => process.exit(0));
    process.stdin.on("close", () => process.exit(0));
    process.stdin.resume();
    const config = parseWith(processConfigSchema, parseJson(line, "the broker's configuration"), {
      what: "the broker's configuration",
      code: "config.invalid",
    });
    process.on("exit", () => removeSocket(config.socketPath));
    const root = await rootOf(config.rootKeyFile);
    const vault = await openEmbeddedVault({ path: config.vaultPath, root });
    if (root.kind === "passphrase") root.passphrase[Symbol.dispose]();
    const state = await openBrokerState({
      dir: config.stateDir,
      vault,
      root: vault.root,
      clock: Date.now,
      complete: sentCollateral,
    });
    const app = createBrokerApp({ state, logger: createBrokerLogger(config.logLevel) });
    await listenOnSocket(app, config.socketPath);
    const { mode } = state.db.identity;
    const ready = { ready: true, mode, socketPath: config.socketPath, pid: process.pid };
    process.stdout.write(`${JSON.stringify(ready)}\n`);
  } catch (error) {
    // The parent shows it: one line, in the form of the protocol's errors.
    const { code, message } = asPpmlError(error) ?? {
      code: "base.internal",
      message: error instanceof Error ? error.message : "unknown",
    };
    process.stdout.write(`${JSON.stringify({ ready: false, error: { code, message } })}\n`, () =>
      process.exit(1),
    );
  }
}

/** Removes the socket, and its folder where nothing else lies in it: whoever made it may be gone. */
function removeSocket(socketPath: string): void {
  try {
    rmSync(socketPath, { force: true });
    rmdirSync(dirname(socketPath));
  } catch {
    // The folder holds something else, or went already: both are as they should be.
  }
}

function readConfigLine(): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let bytes = new Uint8Array(0);
    const fail = (why: string): void =>
      reject(new PpmlError("config.invalid", `expected one line of JSON: ${why}`));
    process.stdin.on("data", (chunk: Uint8Array) => {
      bytes = new Uint8Array(Buffer.concat([bytes, chunk]));
      const end = bytes.indexOf(0x0a);
      if (end < 0 && bytes.byteLength <= MAX_CONFIG_BYTES) return;
      process.stdin.removeAllListeners("data");
      if (end < 0) fail(`it is longer than ${MAX_CONFIG_BYTES} bytes`);
      else resolve(bytes.subarray(0, end));
    });
    process.stdin.once("end", () => fail("the input ended"));
    process.stdin.once("error", () => fail("the input cannot be read"));
  });
}

async function rootOf(rootKeyFile: string | null): Promise<VaultRoot> {
  if (rootKeyFile !== null) return { kind: "file", path: rootKeyFile };
  const passphrase = new Uint8Array(MAX_PASSPHRASE_BYTES);
  let length = 0;
  const stream = createReadStream("", { fd: PASSPHRASE_FD, highWaterMark: MAX_PASSPHRASE_BYTES });
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array) || length + chunk.byteLength > MAX_PASSPHRASE_BYTES)
      throw new PpmlError("key.vault_locked", "the passphrase is too long");
    passphrase.set(chunk, length);
    length += chunk.byteLength;
    chunk.fill(0);
  }
  const secret = Secret.copy(passphrase.subarray(0, length));
  passphrase.fill(0);
  return { kind: "passphrase", passphrase: secret };
}
