import { isSharedProvider } from "../../attest/index.ts";
import { checkAzureSection } from "../../provision/azure/config/check-section.ts";
import { queryNameSchema } from "../../format/job.ts";
import { printable } from "../output/printable.ts";
import { normalPlace } from "./place.ts";
import type { PathPart } from "./document.ts";
import { queryNameOf } from "./query-name.ts";
import type { DatasetConfig, JobConfig, ProjectConfig } from "./schema.ts";
import { suggestion } from "./suggest.ts";

/** A wrong reference: where it stands and what is wrong. */
export type ReferenceProblem = {
  readonly path: readonly PathPart[];
  readonly message: string;
};

/** Checks what names something else in the file, and what only several members together say. */
export function checkReferences(config: ProjectConfig): readonly ReferenceProblem[] {
  const problems: ReferenceProblem[] = [];
  const add = (path: readonly PathPart[], message: string) => void problems.push({ path, message });

  if (config.mode === "simulation" && config.simulation === undefined)
    add(["mode"], 'simulation needs a section "simulation: {platform: PATH}"');
  if (config.mode === "production" && config.simulation !== undefined)
    add(["simulation"], "a production project has no simulated platform: remove it");

  const storeOf = new Map<string, string>();
  for (const [name, dataset] of Object.entries(config.datasets)) {
    const store = normalPlace(dataset.store);
    const other = storeOf.get(store);
    if (other !== undefined)
      add(["datasets", name, "store"], `datasets.${other} has the same store: give each its own`);
    storeOf.set(store, name);
    checkGroups(dataset, (path, message) => add(["datasets", name, ...path], message));
  }
  checkProviders(config, add);
  for (const [name, job] of Object.entries(config.jobs))
    checkJob(config, job, (path, message) => add(["jobs", name, ...path], message));
  if (config.azure !== undefined)
    for (const { path, message } of checkAzureSection(config.azure, Object.keys(config.policies)))
      add(["azure", ...path], message);
  return problems;
}

type Add = (path: readonly PathPart[], message: string) => void;

function checkProviders({ broker }: ProjectConfig, add: Add): void {
  const issuers = new Set<string>();
  for (const [index, { issuer, policy }] of (broker.maaProviders ?? []).entries()) {
    const path = ["broker", "maaProviders", index];
    if (issuers.has(issuer)) add([...path, "issuer"], "this provider is pinned twice: keep one");
    issuers.add(issuer);
    if (policy === "shared-provider" && !isSharedProvider(issuer))
      add(
        [...path, "policy"],
        "this is none of Azure's shared providers: its owner can change its policy, so pin its hash",
      );
  }
}

function checkGroups(dataset: DatasetConfig, add: Add): void {
  const { groups, kind } = dataset;
  const rest = groups.filter((group) => group.columns === undefined);
  if (rest.length !== 1)
    add(
      ["groups"],
      rest.length === 0
        ? 'exactly one group has no "columns" and takes all others: there is none'
        : `exactly one group has no "columns" and takes all others: there are ${rest.length}`,
    );
  const groupOf = new Map<string, string>();
  const names = new Set<string>();
  for (const [index, group] of groups.entries()) {
    if (names.has(group.name))
      add(["groups", index, "name"], `another group is named "${group.name}" too`);
    names.add(group.name);
    if (group.columns !== undefined && kind === "file")
      add(["groups", index, "columns"], "a dataset of kind file is sealed whole: no columns");
    for (const [place, column] of (group.columns ?? []).entries()) {
      const other = groupOf.get(column);
      if (other !== undefined)
        add(
          ["groups", index, "columns", place],
          `column "${column}" is in group "${other}" already`,
        );
      groupOf.set(column, group.name);
    }
  }
}

/** Queries are named by their files: the names have to be good for results, and each stand once. */
function checkCode({ code }: JobConfig, add: Add): void {
  const pathOf = new Map<string, string>();
  for (const [index, path] of (typeof code === "string" ? [code] : code).entries()) {
    const at = typeof code === "string" ? ["code"] : ["code", index];
    const name = queryNameOf(path);
    const problem = queryNameSchema.safeParse(name).error?.issues[0]?.message;
    if (problem !== undefined)
      add(at, `the file's name is the query's, "${printable(name)}": ${problem}: rename the file`);
    const other = pathOf.get(name.toLowerCase());
    if (other !== undefined)
      add(
        at,
        other === path
          ? `the query "${name}" is listed twice: keep one`
          : `the query of ${other} is named "${queryNameOf(other)}" too: rename one of the files`,
      );
    pathOf.set(name.toLowerCase(), path);
  }
}

function checkJob(config: ProjectConfig, job: JobConfig, add: Add): void {
  checkCode(job, add);
  const datasets = Object.keys(config.datasets);
  const policies = Object.keys(config.policies);
  if (!policies.includes(job.policy))
    add(["policy"], `there is no policy "${job.policy}"${suggestion(job.policy, policies)}`);
  if (job.release === "direct" && (config.direct === undefined || config.vault.url === undefined))
    add(["release"], "release direct needs the section direct, and a vault of kind azure");
  for (const [view, input] of Object.entries(job.inputs)) {
    const { dataset, columns = [] } = input;
    if (!datasets.includes(dataset))
      add(
        ["inputs", view, "dataset"],
        `there is no dataset "${dataset}"${suggestion(dataset, datasets)}`,
      );
    if (dataset === job.output)
      add(["inputs", view, "dataset"], "the job's output is this dataset too: give it another");
    for (const [index, column] of columns.entries())
      if (columns.indexOf(column) < index)
        add(["inputs", view, "columns", index], `column "${column}" is listed twice`);
  }
  if (!datasets.includes(job.output))
    add(["output"], `there is no dataset "${job.output}"${suggestion(job.output, datasets)}`);
}
