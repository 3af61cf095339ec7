import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { loadSimulationPki } from "../../src/attest/sim/pki.ts";
import { assignRole } from "../../src/twin/first-start.ts";
import { withTwin } from "../../src/twin/environment.ts";
import { startTwin } from "../../src/twin/start.ts";
import type { Twin } from "../../src/twin/start.ts";
import { RESOURCES, TWIN } from "../../src/twin/state-kinds.ts";
import { PPML, runInProcess } from "../cli/ppml.ts";
import type { Run } from "../cli/ppml.ts";

/** A project whose vault is in the double's Key Vault, which the first operator has no role in yet. */
export type VaultProject = {
  readonly cwd: string;
  readonly twin: Twin;
  /** The vault's name. */
  readonly vault: string;
  /** Runs ppml as a person would, in the twin's environment. */
  readonly ppml: (...args: readonly string[]) => Promise<Run>;
  /** Gives the operator a role in the vault. */
  readonly grant: (role: string) => void;
  readonly close: () => Promise<void>;
};

/**
 * Makes it, with a twin that takes its simulated platform's Evidence.
 * @param yaml what follows the section azure of ppml.yaml, from `datasets` on
 */
export async function makeVaultProject(yaml: string): Promise<VaultProject> {
  const vault = "ppmlkv";
  const folder = mkdtempSync(join(tmpdir(), "ppml-azure-"));
  const cwd = join(folder, "project");
  const init = ["init", "project", "--name", "demo", "--template", "empty"];
  const run = await runInProcess(init, { cwd: folder });
  if (run.code !== 0) throw new Error(run.stderr);
  const { ark } = loadSimulationPki(join(cwd, ".ppml", "sim"));
  const twin = await startTwin({
    folder: join(folder, "twin"),
    clock: Date.now,
    log: () => undefined,
    simulationRoots: [ark],
  });
  const vaultId = `/subscriptions/${twin.subscriptionId}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/${vault}`;
  twin.base.state.put(RESOURCES, vaultId.toLowerCase(), {
    id: vaultId,
    name: vault,
    type: "Microsoft.KeyVault/vaults",
    location: "eastus2",
    properties: {
      tenantId: twin.tenantId,
      sku: { family: "A", name: "premium" },
      enablePurgeProtection: true,
      enableRbacAuthorization: true,
    },
  });
  const path = join(cwd, "ppml.yaml");
  const head = (readFileSync(path, "utf8").split("\ndatasets:")[0] ?? "")
    .replace("kind: embedded", "kind: azure")
    .replace("path: .ppml/vault.db", `url: https://${vault}.vault.azure.net`);
  writeFileSync(
    path,
    `${head}
azure:
  subscription: ${twin.subscriptionId}
  tenant: ${twin.tenantId}
  region: eastus2
  resourceGroup: rg
  transport: environment
${yaml}`,
  );
  return {
    cwd,
    twin,
    vault,
    ppml: async (...args) => {
      const child = spawn(PPML, [...args], {
        cwd,
        env: withTwin({ PATH: process.env["PATH"], HOME: folder }, twin.environment),
        stdio: ["ignore", "pipe", "pipe"],
      });
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
      const said = [text(child.stdout), text(child.stderr)] as const;
      const [stdout, stderr, code] = await Promise.all([...said, ended]);
      return { code, stdout, stderr };
    },
    grant: (role) => {
      const principalId = twin.base.state.get(TWIN, "twin")?.ownerObjectId ?? "";
      const given = { principalId, role, scope: vaultId, createdBy: principalId };
      assignRole(twin.base.state, { ...given, nowMs: Date.now() });
    },
    close: async () => {
      await twin.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
