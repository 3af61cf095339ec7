import { relative } from "node:path";
import { simulationPolicy } from "../../../attest/index.ts";
import { explainPolicy, releasePolicyFor } from "../../../release/index.ts";
import type { PolicyFile, SkrPolicy } from "../../../release/index.ts";
import { defineCommand } from "../../command.ts";
import { directReleasePolicy } from "../../direct-access.ts";
import { buildJob } from "../../job-object.ts";
import { loadQueries, queryDigest } from "../../job-queries.ts";
import type { JobRelease } from "../../launcher-config.ts";
import { policyArgument, policyPath } from "../../policy-file.ts";
import { imageRootOf, measureTee } from "../../tee-image.ts";
import { findKek, vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";
import { openWorkspace } from "../../workspace.ts";
import type { Workspace } from "../../workspace.ts";
import { writeJson } from "../../write-json.ts";

type Flags = VaultFlags & { readonly force?: boolean; readonly grant?: readonly string[] };

/** `ppml policy draft NAME`: writes a policy's file from the jobs of ppml.yaml that name it. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      ...vaultFlags,
      force: { kind: "boolean", brief: "Write over the file", optional: true, withNegated: false },
      grant: {
        kind: "parsed",
        parse: String,
        variadic: true,
        brief: "KEK to grant (otherwise: those that the jobs' columns, or results, need)",
        placeholder: "KEK",
        optional: true,
      },
    },
    positional: policyArgument,
  },
  description:
    "For jobs: this installation's measurement, the owner as signer, the queries as they are now,\n" +
    "and the KEKs of just the columns that they read. A policy that no job names lets the owner open\n" +
    "results. Read it, change it, then put it in force with `ppml policy apply`.",
  async run(context, flags, name) {
    using workspace = await openWorkspace(context, flags);
    const path = policyPath(workspace.project, name);
    const jobs = Object.entries(workspace.project.config.jobs).filter(
      ([, job]) => job.policy === name,
    );
    const base =
      jobs.length === 0
        ? await ownerPolicy(workspace, name)
        : await jobPolicy(workspace, {
            name,
            jobs,
            imageRoot: imageRootOf(context, undefined),
            nowMs: context.clock(),
          });
    const policy =
      flags.grant === undefined ? base : { ...base, grants: await kekIds(workspace, flags.grant) };
    await writeJson(path, policy, {
      mode: flags.force === true ? "replace" : "new",
      existsHint: "--force writes over it",
    });
    return {
      data: { policy: name, path, content: policy },
      human: () =>
        [
          `Wrote ${relative(context.cwd, path)}:`,
          ...explainPolicy(policy).map((line) => `  ${line}`),
          "",
        ].join("\n"),
    };
  },
});

type Jobs = readonly (readonly [string, Workspace["project"]["config"]["jobs"][string]])[];

async function jobPolicy(
  workspace: Workspace,
  options: {
    readonly name: string;
    readonly jobs: Jobs;
    readonly imageRoot: string;
    readonly nowMs: number;
  },
): Promise<PolicyFile> {
  const { name, jobs } = options;
  const measured = await measureWays(workspace.project, {
    imageRoot: options.imageRoot,
    ways: new Set(jobs.map(([, job]) => job.release)),
  });
  const codeDigests = new Set<string>();
  const outputKeks = new Set<string>();
  const keks = new Set<string>();
  for (const [jobName, config] of jobs) {
    const queries = await loadQueries(workspace.project, config);
    for (const query of queries) codeDigests.add(queryDigest(query));
    const job = await buildJob(workspace, { name: jobName, config, queries, nowMs: options.nowMs });
    outputKeks.add(job.output.kekThumbprint);
    for (const [view, input] of Object.entries(config.inputs)) {
      const columns = job.inputs.find((one) => one.name === view)?.columns ?? null;
      for (const group of workspace.dataset(input.dataset).groups)
        if (reads(group.columns, columns)) keks.add(group.kek);
    }
  }
  return {
    v: 1,
    name,
    appraisal: simulationPolicy(Object.values(measured)),
    release: releaseOf(workspace, measured),
    jobs: {
      signers: [workspace.owner.publicJwk],
      codeDigests: [...codeDigests],
      purposes: [...new Set(jobs.map(([, job]) => job.purpose))],
      outputKeks: [...outputKeks],
    },
    resources: [],
    grants: await kekIds(workspace, [...keks]),
    ownerOpen: [],
  };
}

type Measured = Readonly<Partial<Record<JobRelease, string>>>;

async function measureWays(
  project: Workspace["project"],
  of: { readonly imageRoot: string; readonly ways: ReadonlySet<JobRelease> },
): Promise<Measured> {
  const measured: Partial<Record<JobRelease, string>> = {};
  for (const way of of.ways)
    measured[way] = (await measureTee(of.imageRoot, project, way)).measurement;
  return measured;
}

/** Our own issuer, which a broker speaks for, and the provider of Azure Attestation where none does. */
function releaseOf({ project, vault }: Workspace, measured: Measured): SkrPolicy {
  const { mode } = vault;
  const { direct } = measured;
  const policies = [
    releasePolicyFor({ mode, measurements: Object.values(measured) }),
    ...(direct === undefined ? [] : [directReleasePolicy(project, [direct])]),
  ];
  return { version: "1.0.0", anyOf: policies.flatMap(({ anyOf }) => anyOf) };
}

/** The group of the columns not named is always needed: its key opens a table's footer. */
function reads(group: readonly string[] | undefined, columns: readonly string[] | null): boolean {
  return group === undefined || columns === null || columns.some((name) => group.includes(name));
}

async function ownerPolicy(workspace: Workspace, name: string): Promise<PolicyFile> {
  const { datasets, jobs } = workspace.project.config;
  const outputs = new Set(Object.values(jobs).map((job) => job.output));
  const keks = [...outputs].flatMap((output) =>
    (datasets[output]?.groups ?? []).map((group) => group.kek),
  );
  return {
    v: 1,
    name,
    appraisal: null,
    release: null,
    jobs: null,
    resources: [],
    grants: await kekIds(workspace, [...new Set(keks)]),
    ownerOpen: [workspace.owner.keyId],
  };
}

async function kekIds(workspace: Workspace, names: readonly string[]): Promise<string[]> {
  const found = await Promise.all(names.map((name) => findKek(workspace.vault, name)));
  return found.map((kek) => kek.kekId);
}
