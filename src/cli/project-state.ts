import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createSimulationPki, saveSimulationPki } from "../attest/sim/pki.ts";
import type { Clock, Secret } from "../base/index.ts";
import { type BrokerKind, createBrokerState } from "../broker/index.ts";
import {
  createEmbeddedVault,
  createRootKeyFile,
  createSigningKeyFile,
  loadRootKeyFile,
  type RootKey,
  type VaultRoot,
} from "../key/index.ts";
import { projectJsonSchema } from "./config/json-schema.ts";
import type { ProjectConfig } from "./config/schema.ts";
import type { PinnedRoots } from "./pinned-roots.ts";
import type { TemplateKek } from "./templates/template.ts";

/** What `.ppml` is made of; its paths are those of the new ppml.yaml. */
export type NewState = {
  /** Absolute path of the folder, with an empty `.ppml` of mode 0700 in it; it may be renamed later. */
  readonly root: string;
  readonly config: ProjectConfig;
  /** Where the project asks for a passphrase; it is not disposed here. */
  readonly passphrase?: Secret | undefined;
  readonly keks: readonly TemplateKek[];
  readonly clock: Clock;
  /** Called before each step that takes time. */
  readonly onStep: (label: string) => void;
};

/**
 * Fills a project's `.ppml`: root key, vault and its KEKs, owner's key, simulated
 * platform and broker; gives the public roots to pin. On failure the caller removes `.ppml`.
 * @throws key.vault_exists key.vault_io attest.platform broker.state
 */
export async function createProjectState(options: NewState): Promise<PinnedRoots> {
  const { root, config, passphrase, keks, clock, onStep } = options;
  const at = (path: string) => join(root, path);
  await writeFile(at(".ppml/.gitignore"), "# Keys and state: never in a repository.\n*\n");
  await writeFile(at(".ppml/ppml.schema.json"), projectSchemaText());

  const { path, rootKeyFile } = config.vault;
  if (rootKeyFile !== undefined) await createRootKeyFile({ path: at(rootKeyFile) });
  onStep("making the vault");
  const from: VaultRoot =
    passphrase === undefined
      ? { kind: "file", path: at(rootKeyFile ?? "") }
      : { kind: "passphrase", passphrase };
  if (path === undefined) {
    // The vault is in Azure, and not made here.
    using rootKey = await loadRootKeyFile({ path: at(rootKeyFile ?? "") });
    return await createOwned(options, rootKey);
  }
  using vault = await createEmbeddedVault({ path: at(path), mode: config.mode, clock, root: from });
  for (const { name, purpose } of keks) {
    onStep(`making KEK ${name}`);
    await vault.createKek({ name, kind: "unwrap-only", purpose });
  }
  return await createOwned(options, vault.root);
}

/** Makes what is encrypted under the root key beside the vault, and the simulated platform. */
async function createOwned(options: NewState, vaultRoot: RootKey): Promise<PinnedRoots> {
  const { root, config, clock, onStep } = options;
  const at = (path: string) => join(root, path);
  onStep("making the owner's key");
  const owner = await createSigningKeyFile({
    path: at(config.owner.key),
    root: vaultRoot,
    purpose: "owner",
  });
  let kind: BrokerKind = { mode: "production", simulationRoot: null };
  if (config.simulation !== undefined) {
    onStep("making the simulated platform");
    const platform = at(config.simulation.platform);
    await mkdir(dirname(platform), { recursive: true, mode: 0o700 });
    const pki = createSimulationPki({ nowMs: clock() });
    saveSimulationPki(pki, platform);
    kind = { mode: "simulation", simulationRoot: pki.ark };
  }
  onStep("making the broker's state");
  const identity = await createBrokerState({
    dir: at(config.broker.state),
    kind,
    owner: owner.publicJwk,
    root: vaultRoot,
    clock,
  });
  const { mode, releaseRoot, logKey, simulationRoot } = identity;
  return { v: 1, mode, owner: owner.publicJwk, releaseRoot, logKey, simulationRoot };
}

/** The JSON Schema of ppml.yaml as a file's text. */
export function projectSchemaText(): string {
  return `${JSON.stringify(projectJsonSchema(), null, 2)}\n`;
}
