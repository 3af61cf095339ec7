import { PpmlError } from "../../base/index.ts";
import { checkQueries } from "../../compute/sql/check-queries.ts";
import { jobSchema } from "../../format/job.ts";
import { parseWith } from "../../format/schema.ts";
import { signObject } from "../../format/signed-object.ts";
import { withBroker } from "../broker-process.ts";
import { defineCommand, integerBetween } from "../command.ts";
import type { JobConfig } from "../config/schema.ts";
import { buildJob } from "../job-object.ts";
import { releaseToOwner } from "../owner-release.ts";
import { runInSimulatedTee } from "../run-job.ts";
import { showRows } from "../show-rows.ts";
import { imageRootOf } from "../tee-image.ts";
import { vaultFlags } from "../vault.ts";
import type { VaultFlags } from "../vault.ts";
import { openWorkspace } from "../workspace.ts";
import type { Workspace } from "../workspace.ts";

type Flags = VaultFlags & {
  readonly policy: string;
  readonly output: string;
  readonly purpose: string;
  readonly ownerPolicy?: string;
  readonly rows?: number;
};

const JOB_NAME = "ad-hoc";
const DEFAULT_ROWS = 20;

/** `ppml sql QUERY`: signs a one-off job, runs it in a TEE and opens its result. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      ...vaultFlags,
      policy: {
        kind: "parsed",
        parse: String,
        brief: 'Policy that approves it: its jobs.codeDigests is "any", or lists the query',
        placeholder: "POLICY",
      },
      output: {
        kind: "parsed",
        parse: String,
        brief: "Dataset of ppml.yaml that the result is sealed into",
        placeholder: "DATASET",
      },
      purpose: { kind: "parsed", parse: String, brief: "What for", placeholder: "TEXT" },
      ownerPolicy: {
        kind: "parsed",
        parse: String,
        brief: "Policy that lets the owner open the result (otherwise: owner)",
        placeholder: "POLICY",
        optional: true,
      },
      rows: {
        kind: "parsed",
        parse: integerBetween(1, 100_000),
        brief: `Rows to show (otherwise: ${DEFAULT_ROWS})`,
        placeholder: "N",
        optional: true,
      },
    },
    positional: {
      kind: "tuple",
      parameters: [
        { placeholder: "QUERY", brief: "One SELECT over datasets of ppml.yaml", parse: String },
      ],
    },
  },
  description:
    "The datasets are those whose names the query holds. The same checks hold as for any job; a\n" +
    "query that others must not see in a process list belongs into a job's file.",
  async run(context, flags, text) {
    using workspace = await openWorkspace(context, flags);
    const config = adHocJob(workspace, { flags, text });
    const queries = [{ name: JOB_NAME, text }];
    await checkQueries(queries);
    const nowMs = context.clock();
    const built = await buildJob(workspace, { name: JOB_NAME, config, queries, nowMs });
    const job = parseWith(jobSchema, built, { what: "query", code: "cli.usage" });
    const run = {
      envelope: signObject("job", job, workspace.owner),
      code: [text],
      datasets: Object.fromEntries(
        Object.entries(config.inputs).map(([view, input]) => [view, input.dataset]),
      ),
      output: flags.output,
      outputKek: workspace.dataset(flags.output).groups[0]?.kek ?? "",
      imageRoot: imageRootOf(context, undefined),
    };
    return await withBroker(workspace, async (broker) => {
      await runInSimulatedTee(context, { workspace, broker, run });
      using release = await releaseToOwner(workspace, {
        broker,
        dataset: flags.output,
        policy: flags.ownerPolicy ?? "owner",
        purpose: flags.purpose,
        nowMs: context.clock(),
      });
      return await showRows(context, { release, rows: flags.rows ?? DEFAULT_ROWS });
    });
  },
});

function adHocJob(
  workspace: Workspace,
  options: { readonly flags: Flags; readonly text: string },
): JobConfig {
  const { flags, text } = options;
  const names = Object.keys(workspace.project.config.datasets).filter(
    (name) => name !== flags.output && new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(text),
  );
  if (names.length === 0)
    throw new PpmlError("cli.usage", "the query names no dataset of ppml.yaml");
  return {
    engine: "sql",
    code: `${JOB_NAME}.sql`,
    policy: flags.policy,
    release: "broker",
    purpose: flags.purpose,
    inputs: Object.fromEntries(names.map((name) => [name, { dataset: name }])),
    output: flags.output,
    validDays: 1,
  };
}
