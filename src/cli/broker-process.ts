import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { ERROR_CODES, PpmlError } from "../base/index.ts";
import type { ErrorCode } from "../base/index.ts";
import { openBrokerClient } from "../launch/index.ts";
import type { BrokerClient } from "../launch/index.ts";
import { onProcessEnd } from "../launch/sim/process-end.ts";
import { obtainPassphrase } from "./terminal.ts";
import type { Workspace } from "./workspace.ts";

/** A running broker of this project: a process of its own on a Unix socket for this user alone. */
export type RunningBroker = { readonly client: BrokerClient; readonly socketPath: string };

/**
 * Starts the project's broker, gives it to `use`, and stops it. The vault, the release key and every
 * decision are in that process, not in this one.
 * @throws broker.unavailable and what the broker says when it starts, and what `use` throws
 */
export async function withBroker<T>(
  workspace: Workspace,
  use: (broker: RunningBroker) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "ppml-broker-"));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  // A signal ends this process before any finally; a kill leaves the folder to the broker's own end.
  const atEnd = onProcessEnd(remove);
  const socketPath = join(directory, "broker.sock");
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", brokerEntry()], {
    env: { PATH: process.env["PATH"] ?? "" },
    stdio: ["pipe", "pipe", "inherit", "pipe"],
  });
  const exited = once(child, "exit");
  try {
    await sendPassphrase(workspace, child.stdio[3]);
    child.stdin?.on("error", () => undefined);
    child.stdin?.write(`${JSON.stringify(configOf(workspace, socketPath))}\n`);
    await ready(child.stdout);
    return await use({ client: openBrokerClient({ socketPath }), socketPath });
  } finally {
    child.kill("SIGTERM");
    await exited;
    atEnd[Symbol.dispose]();
    remove();
  }
}

function brokerEntry(): string {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return fileURLToPath(new URL(`../broker/main.${extension}`, import.meta.url));
}

function configOf({ project }: Workspace, socketPath: string): unknown {
  const { broker, vault } = project.config;
  return {
    v: 1,
    socketPath,
    stateDir: project.resolve(broker.state),
    vaultPath: project.resolve(vault.path),
    rootKeyFile: vault.rootKeyFile === undefined ? null : project.resolve(vault.rootKeyFile),
    logLevel: "warn",
  };
}

async function sendPassphrase(
  { project, passphraseFile }: Workspace,
  pipe: unknown,
): Promise<void> {
  const stream = pipe as NodeJS.WritableStream;
  stream.on("error", () => undefined);
  if (project.config.vault.rootKeyFile === undefined) {
    using passphrase = await obtainPassphrase({
      file: passphraseFile,
      prompt: "Passphrase of the vault, for the broker",
    });
    passphrase.expose((bytes) => stream.write(Buffer.from(bytes)));
  }
  stream.end();
}

async function ready(stdout: NodeJS.ReadableStream | null): Promise<void> {
  if (stdout === null) throw new PpmlError("base.internal", "the broker has no standard output");
  const lines = createInterface({ input: stdout });
  for await (const line of lines) {
    const said: unknown = JSON.parse(line);
    if (typeof said === "object" && said !== null && "ready" in said && said.ready === true) return;
    throw startError(said);
  }
  throw new PpmlError("broker.unavailable", "the broker ended before it was ready");
}

const startErrorSchema = z.object({
  error: z.object({ code: z.string(), message: z.string() }),
});

function startError(said: unknown): PpmlError {
  const parsed = startErrorSchema.safeParse(said);
  if (!parsed.success) return new PpmlError("broker.unavailable", "the broker did not start");
  const { code, message } = parsed.data.error;
  return new PpmlError(
    Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : "broker.unavailable",
    message,
  );
}
