import { mkdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { PpmlError, utf8 } from "../../../base/index.ts";
import { RECEIPT_NAME } from "../../../format/manifest.ts";
import type { BrokerClient } from "../../../launch/index.ts";
import { publishManifest } from "../../../seal/index.ts";
import { withBroker } from "../../broker-process.ts";
import { defineCommand } from "../../command.ts";
import { lockDataset } from "../../dataset-lock.ts";
import { simulatedMark } from "../../output/style.ts";
import { renderFields } from "../../output/table.ts";
import { ownersAuthority, settleDataset } from "../../owner-manifests.ts";
import { maaProvidersOf, projectRoots, simulationRootOf } from "../../pinned-roots.ts";
import { policyInForce } from "../../policy-in-force.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { directJobsOf, findWaiting } from "../../waiting-result.ts";
import type { WaitingResult } from "../../waiting-result.ts";
import { openWorkspace } from "../../workspace.ts";
import type { Workspace } from "../../workspace.ts";
import { writeJson } from "../../write-json.ts";

/** `ppml data accept DATASET`: takes over the result of a job that ran without a broker. */
export const command = defineCommand<VaultFlags, [string]>({
  parameters: {
    flags: vaultFlags,
    positional: {
      kind: "tuple",
      parameters: [{ placeholder: "DATASET", brief: "Dataset of ppml.yaml", parse: String }],
    },
  },
  description:
    "The result of a job with release direct waits in its store, signed by the TEE alone. This checks\n" +
    "its receipt from the pinned roots, against the policy in force and the job as it is signed, and\n" +
    "signs its manifest. Nobody reads the result before.",
  async run(context, flags, dataset) {
    using workspace = await openWorkspace(context, flags);
    const { waiting, path } = await withBroker(workspace, ({ client }) =>
      accept(workspace, { client, dataset, nowMs: context.clock() }),
    );
    const { manifest, report, inputs } = waiting;
    const { name, version } = manifest;
    return {
      data: { dataset: name, version, receipt: path, report },
      human: () =>
        renderFields(
          [
            [
              "accepted",
              `${name} v${version}${report.simulated ? `  ${simulatedMark(context.style)}` : ""}`,
            ],
            ["made from", inputs.map((one) => `${one.name} v${one.version}`).join(", ")],
            ...report.checks.map(({ check, detail }) => [check, detail] as const),
            ...report.doesNotProve.map((sentence) => ["not proved", sentence] as const),
            ["receipt", relative(context.cwd, path)],
            ["next", `ppml data open ${name}`],
          ],
          context.style,
        ),
    };
  },
});

async function accept(
  workspace: Workspace,
  of: { readonly client: BrokerClient; readonly dataset: string; readonly nowMs: number },
): Promise<{ readonly waiting: WaitingResult; readonly path: string }> {
  const { client, dataset, nowMs } = of;
  const { project, owner } = workspace;
  using _ = await lockDataset(project, dataset);
  const jobs = await directJobsOf(workspace, dataset);
  const floor = await settleDataset(workspace, { client, dataset });
  const store = await workspace.store(dataset);
  const pinned = await projectRoots(project);
  const roots = {
    logKey: pinned.logKey,
    simulationRoot: simulationRootOf(pinned),
    maaProviders: maaProvidersOf(pinned),
  };
  const waiting = await findWaiting(
    store,
    { dataset, version: floor.minVersion },
    {
      jobs,
      owner: owner.publicJwk,
      floorOf: (datasetId) => client.floor(datasetId),
      rootsOf: async ({ payload }) => ({
        ...roots,
        appraisal: await appraisalOf(workspace, { client, policy: payload.policy }),
      }),
      nowMs,
    },
  );
  const { manifest, receipt } = waiting;
  const path = join(project.root, "receipts", `${dataset}-v${manifest.version}.receipt.json`);
  await mkdir(join(project.root, "receipts"), { recursive: true });
  await writeJson(path, receipt, { mode: "replace" });
  const broker = ownersAuthority(client, manifest.datasetId);
  await publishManifest({
    store,
    manifest,
    signer: owner,
    keepsRefused: true,
    authority: {
      ...broker,
      accept: async (published) => {
        // Before the broker has it: what waits is removed by whoever finishes the publication.
        await store.put(RECEIPT_NAME, [utf8(`${JSON.stringify(receipt)}\n`)]);
        await broker.accept(published);
      },
    },
  });
  return { waiting, path };
}

/** Which launchers count, by the policy in force. @throws release.policy */
async function appraisalOf(
  workspace: Workspace,
  of: { readonly client: BrokerClient; readonly policy: string },
) {
  const inForce = await policyInForce(workspace, { client: of.client, name: of.policy });
  const appraisal = inForce?.policy.appraisal ?? null;
  if (appraisal !== null) return appraisal;
  throw new PpmlError(
    "release.policy",
    `no policy ${of.policy} with reference values is in force, so nothing says which launcher counts: ppml policy draft ${of.policy}, then ppml policy apply ${of.policy}`,
  );
}
