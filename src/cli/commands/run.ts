import { mkdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { PpmlError } from "../../base/index.ts";
import { openBrokerClient } from "../../launch/index.ts";
import { withBroker } from "../broker-process.ts";
import type { RunningBroker } from "../broker-process.ts";
import { defineCommand } from "../command.ts";
import { findJob, loadSignedJob } from "../job-object.ts";
import { loadQueries } from "../job-queries.ts";
import { renderFields } from "../output/table.ts";
import { runInSimulatedTee } from "../run-job.ts";
import { imageFlag, imageRootOf } from "../tee-image.ts";
import { vaultFlags } from "../vault.ts";
import type { VaultFlags } from "../vault.ts";
import { openWorkspace } from "../workspace.ts";
import { writeJson } from "../write-json.ts";

type Flags = VaultFlags & {
  readonly on?: string;
  readonly image?: string;
  readonly outputKek?: string;
  readonly broker?: string;
  readonly brokerKey?: string;
};

/** `ppml run JOB`: runs a signed job in a TEE. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      ...vaultFlags,
      on: {
        kind: "parsed",
        parse: String,
        brief: "Target of ppml.yaml (otherwise: local)",
        placeholder: "TARGET",
        optional: true,
      },
      ...imageFlag,
      outputKek: {
        kind: "parsed",
        parse: String,
        brief: "KEK that the host offers for the result (otherwise: the output dataset's)",
        placeholder: "KEK",
        optional: true,
      },
      broker: {
        kind: "parsed",
        parse: String,
        brief: "The project's broker under `ppml broker serve` (otherwise: started for this run)",
        placeholder: "URL",
        optional: true,
      },
      brokerKey: {
        kind: "parsed",
        parse: String,
        brief: "With --broker: the SHA-256 of its key, which it printed",
        placeholder: "SHA256",
        optional: true,
      },
    },
    positional: {
      kind: "tuple",
      parameters: [{ placeholder: "JOB", brief: "Job of ppml.yaml, signed", parse: String }],
    },
  },
  description:
    "Attests, gets the keys by the policy, runs the job over the opened columns only, and seals,\n" +
    "stores and receipts the result. Open it with `ppml data open`.",
  async run(context, flags, name) {
    using workspace = await openWorkspace(context, flags);
    const { project } = workspace;
    checkTarget(project.config.targets, flags.on);
    const config = findJob(project, name);
    const run = {
      envelope: await loadSignedJob(project, name),
      code: (await loadQueries(project, config)).map(({ text }) => text),
      datasets: Object.fromEntries(
        Object.entries(config.inputs).map(([view, input]) => [view, input.dataset]),
      ),
      output: config.output,
      outputKek: flags.outputKek ?? workspace.dataset(config.output).groups[0]?.kek ?? "",
      imageRoot: imageRootOf(context, flags.image),
    };
    const receipts = join(project.root, "receipts");
    // Before the job: what is in the way is told before a result and its log entry exist.
    await mkdir(receipts, { recursive: true });
    const work = (broker: RunningBroker | null) =>
      runInSimulatedTee(context, { workspace, broker, run });
    const isDirect = config.release === "direct";
    const remote = remoteBroker(flags, isDirect);
    const result = isDirect
      ? await work(null)
      : await (remote === null ? withBroker(workspace, work) : work(remote));
    const path = join(receipts, `${result.name}-v${result.version}.receipt.json`);
    await writeJson(path, result.file, { mode: "replace" });
    const { datasetId, version, rows, bytes, results } = result;
    return {
      data: { job: name, simulated: true, datasetId, version, rows, bytes, results, receipt: path },
      human: () =>
        renderFields(
          [
            [
              "result",
              `${result.name} v${version}: ${rows} rows, ${bytes} sealed bytes  SIMULATED`,
            ],
            ...(results.length === 1 ? [] : results).map(
              (one) => ["table", `${one.name}: ${one.rows} rows, ${one.bytes} bytes`] as const,
            ),
            ["receipt", relative(context.cwd, path)],
            ["next", `ppml data ${isDirect ? "accept" : "open"} ${result.name}`],
          ],
          context.style,
        ),
    };
  },
});

function checkTarget(
  targets: Readonly<Record<string, unknown>> | undefined,
  on: string | undefined,
): void {
  if (on === undefined || on === "local" || (targets !== undefined && Object.hasOwn(targets, on)))
    return;
  throw new PpmlError(
    "config.invalid",
    `ppml.yaml has no target ${on}; it has ${["local", ...Object.keys(targets ?? {})].join(", ")}`,
  );
}

/** The broker that the flags name; null where one is to be started. @throws cli.usage */
function remoteBroker(flags: Flags, isDirect: boolean): RunningBroker | null {
  const { broker: url, brokerKey: spkiSha256 } = flags;
  if (isDirect && (url !== undefined || spkiSha256 !== undefined))
    throw new PpmlError("cli.usage", "the job has release direct: it is given no broker");
  if (url === undefined && spkiSha256 === undefined) return null;
  if (url === undefined || spkiSha256 === undefined)
    throw new PpmlError(
      "cli.usage",
      "--broker and --broker-key belong together: give both or none",
    );
  const place = { url, spkiSha256 };
  return { client: openBrokerClient(place), place, gone: null };
}
