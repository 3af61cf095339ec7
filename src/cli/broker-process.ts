import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { once } from "node:events";
import { getCompileCacheDir } from "node:module";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { ERROR_CODES, PpmlError } from "../base/index.ts";
import type { ErrorCode } from "../base/index.ts";
import type { ProcessConfig } from "../broker/index.ts";
import { modeSchema } from "../format/kek.ts";
import { openBrokerClient } from "../launch/index.ts";
import type { BrokerClient, BrokerPlace } from "../launch/index.ts";
import { onProcessEnd } from "../launch/sim/process-end.ts";
import { COLLATERAL_FOLDER } from "./collateral-flags.ts";
import type { Project } from "./config/load.ts";
import { obtainPassphrase } from "./terminal.ts";
import { azurePlaceOf, embeddedPathOf } from "./vault.ts";
import type { Workspace } from "./workspace.ts";

/** A broker that answers, and where. */
export type RunningBroker = {
  readonly client: BrokerClient;
  readonly place: BrokerPlace;
  /** Aborts when its process ends by itself; null where it is not ours to see. */
  readonly gone: AbortSignal | null;
};

/** The compile cache of this process, if it has one: the broker starts twice as fast with it. */
function compileCache(): { readonly NODE_COMPILE_CACHE?: string } {
  const folder = getCompileCacheDir();
  // Node names a folder of its version inside the one that it was given.
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: dirname(folder) };
}

/**
 * Starts the project's broker as a process of its own, on a Unix socket for this user alone, gives it to `use`, and stops it. The vault, the release key and every
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
  const listen = { kind: "socket", path: socketPath } as const;
  const collateral = { kind: "none" } as const;
  const started = startBroker(workspace, { listen, collateral, logLevel: "warn" });
  const gone = new AbortController();
  void started.exited.then(() => gone.abort());
  try {
    await started.ready;
    const client = openBrokerClient({ socketPath });
    return await use({ client, place: { socketPath }, gone: gone.signal });
  } finally {
    await started.stop();
    atEnd[Symbol.dispose]();
    remove();
  }
}

/** A broker's process: `ready` has what it says when it listens, or why it does not. */
export type StartedBroker = {
  readonly ready: Promise<ReadyLine>;
  /** Asks it to end and waits until it did. */
  readonly stop: () => Promise<void>;
  /** Its exit code, once it ended by itself; null where a signal ended it. */
  readonly exited: Promise<number | null>;
};

/**
 * Starts the project's broker with an environment of its own; the vault's passphrase goes over a
 * descriptor. The process ends with this one.
 */
export function startBroker(
  project: Pick<Workspace, "project" | "passphraseFile">,
  settings: Pick<ProcessConfig, "listen" | "collateral" | "logLevel">,
): StartedBroker {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", brokerEntry()], {
    env: {
      PATH: process.env["PATH"] ?? "",
      ...compileCache(),
      ...azureEnvironment(project.project, process.env),
    },
    stdio: ["pipe", "pipe", "inherit", "pipe"],
  });
  const exited = once(child, "exit").then(([code]: (number | null)[]) => code ?? null);
  child.stdin?.on("error", () => undefined);
  const begin = async (): Promise<ReadyLine> => {
    await sendPassphrase(project, child.stdio[3]);
    child.stdin?.write(`${JSON.stringify(configOf(project, settings))}\n`);
    return await ready(child.stdout);
  };
  return {
    ready: begin(),
    stop: async () => {
      child.kill("SIGTERM");
      await exited;
    },
    exited,
  };
}

/** What a login at Azure takes of an environment: names only, the values are not looked at. */
const LOGIN_VARIABLES =
  /^(?:AZURE_[A-Z_]+|IDENTITY_(?:ENDPOINT|HEADER|SERVER_THUMBPRINT)|IMDS_ENDPOINT|MSI_ENDPOINT|MSI_SECRET|HOME)$/;
const TRANSPORT_VARIABLES =
  /^(?:HTTPS_PROXY|https_proxy|NO_PROXY|no_proxy|NODE_EXTRA_CA_CERTS|NODE_USE_ENV_PROXY)$/;

/** The variables that a broker with a vault in Azure needs: its login, and the way there where ppml.yaml says so. */
export function azureEnvironment(
  project: Project,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  if (project.config.vault.url === undefined) return {};
  const { transport } = azurePlaceOf(project);
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(env))
    if (
      LOGIN_VARIABLES.test(name) ||
      (transport === "environment" && TRANSPORT_VARIABLES.test(name))
    )
      if (value !== undefined) passed[name] = value;
  return passed;
}

function brokerEntry(): string {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return fileURLToPath(new URL(`../broker/main.${extension}`, import.meta.url));
}

function configOf(
  { project }: Pick<Workspace, "project">,
  settings: Pick<ProcessConfig, "listen" | "collateral" | "logLevel">,
): ProcessConfig {
  const { broker, vault } = project.config;
  return {
    v: 1,
    ...settings,
    stateDir: project.resolve(broker.state),
    vault:
      vault.url === undefined
        ? { kind: "embedded", path: embeddedPathOf(project) }
        : { kind: "azure", url: vault.url, ...azurePlaceOf(project) },
    rootKeyFile: vault.rootKeyFile === undefined ? null : project.resolve(vault.rootKeyFile),
    maaProviders: (broker.maaProviders ?? []).map(({ issuer, policy, keysFile }) => ({
      issuer,
      policy,
      keys:
        keysFile === undefined
          ? { kind: "fetch", cacheFolder: project.resolve(COLLATERAL_FOLDER) }
          : { kind: "file", path: project.resolve(keysFile) },
    })),
  };
}

async function sendPassphrase(
  { project, passphraseFile }: Pick<Workspace, "project" | "passphraseFile">,
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

const readyLineSchema = z.looseObject({
  ready: z.literal(true),
  mode: modeSchema,
  url: z.string().optional(),
  spkiSha256: z.string().optional(),
  secretProvisioning: z.string().nullable().optional(),
  pid: z.int(),
});
/** What a broker says when it listens. */
export type ReadyLine = z.infer<typeof readyLineSchema>;

async function ready(stdout: NodeJS.ReadableStream | null): Promise<ReadyLine> {
  if (stdout === null) throw new PpmlError("base.internal", "the broker has no standard output");
  const lines = createInterface({ input: stdout });
  for await (const line of lines) {
    const said: unknown = JSON.parse(line);
    const parsed = readyLineSchema.safeParse(said);
    if (parsed.success) return parsed.data;
    throw startError(said);
  }
  throw new PpmlError("broker.unavailable", "the broker ended before it was ready");
}

const startErrorSchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    detail: z.record(z.string(), z.unknown()).default({}),
  }),
});

function startError(said: unknown): PpmlError {
  const parsed = startErrorSchema.safeParse(said);
  if (!parsed.success) return new PpmlError("broker.unavailable", "the broker did not start");
  const { code, message, detail } = parsed.data.error;
  return new PpmlError(
    Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : "broker.unavailable",
    message,
    { detail },
  );
}
