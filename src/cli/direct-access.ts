import { PpmlError } from "../base/index.ts";
import type { ManifestFloor } from "../format/grant.ts";
import { openAzureVault } from "../key/azure/open.ts";
import type { LaunchRequest } from "../launch/index.ts";
import { emitSkrPolicy } from "../release/index.ts";
import type { SkrPolicy } from "../release/index.ts";
import { withBroker } from "./broker-process.ts";
import type { Project } from "./config/load.ts";
import type { JobConfig } from "./config/schema.ts";
import type { CliContext } from "./context.ts";
import { handOver } from "./hand-over-login.ts";
import { settleDataset } from "./owner-manifests.ts";
import { azurePlaceOf, findKek } from "./vault.ts";
import type { Workspace } from "./workspace.ts";

type DirectHost = Extract<LaunchRequest["authority"], { readonly vaultToken: string }>;

const SIMULATED_PROVIDER = ".attest.simulation.invalid";

/**
 * Who asks Key Vault for a job without a broker: this login's token, and the way there. Key Vault's own
 * ids of the KEKs' versions go with it, for data that were sealed before a rotation.
 * @throws azure.login azure.denied key.not_found
 */
export async function directHostOf(
  context: CliContext,
  of: { readonly workspace: Workspace; readonly datasets: readonly string[] },
): Promise<DirectHost> {
  const { workspace, datasets } = of;
  const { project } = workspace;
  const { url } = project.config.vault;
  if (url === undefined)
    throw new PpmlError("config.invalid", "a job with release direct needs a vault of kind azure");
  const place = azurePlaceOf(project);
  using vault = await openAzureVault({ url, ...place });
  const names = new Set(
    datasets.flatMap((name) => workspace.dataset(name).groups.map((group) => group.kek)),
  );
  const keyVersions: Record<string, string> = {};
  for (const name of names) {
    const { kekId } = await findKek(workspace.vault, name);
    Object.assign(keyVersions, await vault.versionIds(kekId));
  }
  const { connectAzure } = await import("../azure/index.ts");
  const { transport, tenantId } = place;
  const { credential } = connectAzure({ transport, ...(tenantId === null ? {} : { tenantId }) });
  const scope = scopeOf(url);
  const login = { credential, scope, service: "Key Vault", transport };
  const { token, network } = await handOver(context, login);
  return { vaultToken: token, network, keyVersions };
}

function scopeOf(vaultUrl: string): string {
  const { hostname } = new URL(vaultUrl);
  return `https://${hostname.slice(hostname.indexOf(".") + 1)}/.default`;
}

/**
 * The floors that a job without a broker carries, of its inputs, and of its output where a version of it
 * is accepted: those that the owner's broker has now, so that the store, which could show older manifests,
 * does not say them.
 * @throws launch.job where an input was never sealed
 */
export async function floorsOf(workspace: Workspace, config: JobConfig): Promise<ManifestFloor[]> {
  const datasets = new Set(Object.values(config.inputs).map(({ dataset }) => dataset));
  return await withBroker(workspace, async ({ client }) => {
    const floors: ManifestFloor[] = [];
    for (const dataset of datasets) {
      const floor = await settleDataset(workspace, { client, dataset });
      if (floor.minVersion === 0)
        throw new PpmlError(
          "launch.job",
          `${dataset} was never sealed, and a job without a broker names the lowest version that it reads: ppml data seal ${dataset}, then sign the job`,
        );
      floors.push(floor);
    }
    const output = await client.floor(workspace.datasetId(config.output));
    return output.minVersion === 0 ? floors : [...floors, output];
  });
}

/**
 * The release policy of an exportable KEK for the launcher of jobs without a broker: a token of the
 * project's provider of Azure Attestation over one of these measurements, without debugging.
 * @throws config.invalid release.policy
 */
export function directReleasePolicy(project: Project, measurements: readonly string[]): SkrPolicy {
  const { direct, mode } = project.config;
  if (direct === undefined)
    throw new PpmlError(
      "config.invalid",
      "ppml.yaml has no section direct, which jobs without a broker need",
    );
  const simulated = mode === "simulation";
  // The double of Azure Attestation never says that it is Azure.
  const authority = simulated
    ? direct.attestation.replace(/\.attest\.azure\.[a-z]+$/, SIMULATED_PROVIDER)
    : direct.attestation;
  return emitSkrPolicy({
    authorities: [authority],
    accepted: measurements.map((measurement) => ({
      "x-ms-attestation-type": "sevsnpvm",
      "x-ms-sevsnpvm-launchmeasurement": measurement,
      "x-ms-sevsnpvm-is-debuggable": false,
      ...(simulated ? { "ppml.simulated": true } : {}),
    })),
  });
}
