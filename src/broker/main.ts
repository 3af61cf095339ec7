import { createPrivateKey } from "node:crypto";
import { rmdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Hono } from "hono";
import { systemHttp } from "../attest/collateral/http.ts";
import { asPpmlError, PpmlError } from "../base/index.ts";
import { openAzureVault } from "../key/azure/open.ts";
import { openEmbeddedVault } from "../key/embedded/embedded-vault.ts";
import { loadRootKeyFile } from "../key/root-key.ts";
import type { RootKey, VaultRoot } from "../key/root-key.ts";
import type { Vault } from "../key/vault.ts";
import { createBrokerApp } from "./broker-app.ts";
import type { BrokerLogger } from "./broker-app.ts";
import type { BrokerState } from "./broker-state.ts";
import { completeFrom } from "./collateral.ts";
import { openBrokerState } from "./create.ts";
import { listenOnSocket } from "./listen.ts";
import type { Listener } from "./listen.ts";
import { openMaaProviders } from "./maa-providers.ts";
import { listenOnTls } from "./listen-tls.ts";
import { createBrokerLogger } from "./logger.ts";
import { readProcessConfig, readVaultRoot } from "./process-config.ts";
import type { ProcessConfig } from "./process-config.ts";
import { listenForSecretProvisioning } from "./secret-provisioning/listen.ts";
import type { SecretProvisioning } from "./secret-provisioning/listen.ts";
import { provisionSecret } from "./secret-provisioning/provision.ts";
import { loadTlsIdentity, openTlsIdentity } from "./tls-identity.ts";
import type { TlsIdentity } from "./tls-identity.ts";

/** What ends the process; while it starts there is nothing to wait for. */
let end = (): void => process.exit(0);

await run();

async function run(): Promise<void> {
  try {
    // Before anything is read: whoever started us may be gone already.
    process.on("SIGTERM", () => end());
    process.on("SIGINT", () => end());
    const config = await readProcessConfig();
    process.stdin.on("end", () => end());
    process.stdin.on("close", () => end());
    process.stdin.resume();
    if (config.listen.kind === "socket") {
      const { path } = config.listen;
      process.on("exit", () => removeSocket(path));
    }
    const root = await readVaultRoot(config.rootKeyFile);
    const { vault, root: brokerRoot } = await openVault(config, root);
    if (root.kind === "passphrase") root.passphrase[Symbol.dispose]();
    const state = await openBrokerState({
      dir: config.stateDir,
      vault,
      root: brokerRoot,
      clock: Date.now,
      complete: await completeFrom(config.collateral),
      maaProviders: await openMaaProviders(config.maaProviders, systemHttp),
    });
    const logger = createBrokerLogger(config.logLevel);
    const app = createBrokerApp({ state, logger });
    const { listener, place } = await listen(app, { state, logger, config });
    end = () => {
      end = () => process.exit(0);
      void listener.close().finally(() => process.exit(0));
    };
    const { mode } = state.db.identity;
    process.stdout.write(`${JSON.stringify({ ready: true, mode, ...place, pid: process.pid })}\n`);
  } catch (error) {
    // The parent shows it: one line, in the form of the protocol's errors.
    const { code, message, detail } = asPpmlError(error) ?? {
      code: "base.internal",
      message: error instanceof Error ? error.message : "unknown",
      detail: {},
    };
    const said = { ready: false, error: { code, message, detail } };
    process.stdout.write(`${JSON.stringify(said)}\n`, () => process.exit(1));
  }
}

/** The vault that it unwraps in, and the root key of its own keys. */
async function openVault(
  { vault: config }: ProcessConfig,
  from: VaultRoot,
): Promise<{ readonly vault: Vault; readonly root: RootKey }> {
  if (config.kind === "embedded") {
    const vault = await openEmbeddedVault({ path: config.path, root: from });
    return { vault, root: vault.root };
  }
  if (from.kind === "passphrase")
    throw new PpmlError("config.invalid", "a vault in Azure goes with a root-key file");
  const { url, mode, transport, tenantId } = config;
  const root = await loadRootKeyFile({ path: from.path });
  return { vault: await openAzureVault({ url, mode, transport, tenantId }), root };
}

/** Where it listens, for the line that says so. */
type Place =
  | { readonly socketPath: string }
  | {
      readonly url: string;
      readonly spkiSha256: string;
      /** HOST:PORT for Gramine's clients; null where there is none. */
      readonly secretProvisioning: string | null;
    };

type Parts = {
  readonly state: BrokerState;
  readonly logger: BrokerLogger;
  readonly config: ProcessConfig;
};

async function listen(
  app: Hono,
  parts: Parts,
): Promise<{ readonly listener: Listener; readonly place: Place }> {
  const { listen: setting } = parts.config;
  if (setting.kind === "socket")
    return {
      listener: await listenOnSocket(app, setting.path),
      place: { socketPath: setting.path },
    };
  const { host, port, certificate } = setting;
  const tls =
    certificate.kind === "files"
      ? await loadTlsIdentity(certificate)
      : await openTlsIdentity({ folder: certificate.folder, host, nowMs: Date.now() });
  const listener = await listenOnTls(app, { host, port, tls });
  const provisioning = await provision(parts, { setting: setting.secretProvisioning, tls });
  return {
    listener: {
      close: async () => {
        await Promise.all([listener.close(), provisioning?.close()]);
      },
    },
    place: {
      url: `https://${placeName(host, listener.port)}`,
      spkiSha256: tls.spkiSha256,
      secretProvisioning:
        provisioning === null || setting.secretProvisioning === null
          ? null
          : placeName(setting.secretProvisioning.host, provisioning.port),
    },
  };
}

type TlsSetting = Extract<ProcessConfig["listen"], { readonly kind: "tls" }>;

async function provision(
  { state, logger }: Parts,
  options: {
    readonly setting: TlsSetting["secretProvisioning"];
    readonly tls: TlsIdentity;
  },
): Promise<SecretProvisioning | null> {
  const { setting, tls } = options;
  if (setting === null) return null;
  const { host, port, resource: path } = setting;
  return await listenForSecretProvisioning({
    host,
    port,
    certificates: tls.certificatePem,
    privateKey: createPrivateKey(tls.keyPem),
    decide: (evidence) => provisionSecret(state, { evidence, path }),
    onRefused: ({ code }) => {
      logger.call({ method: "RA-TLS", path, status: 403, code, durationMs: 0 });
    },
    now: state.clock,
  });
}

function placeName(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
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
