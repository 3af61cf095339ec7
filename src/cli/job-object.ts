import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { PpmlError, toTimestamp } from "../base/index.ts";
import { parseJson } from "../format/jcs.ts";
import { jobSchema } from "../format/job.ts";
import type { Job } from "../format/job.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import { manifestSchema } from "../format/manifest.ts";
import { parseEnvelope, peekObject } from "../format/signed-object.ts";
import type { Envelope } from "../format/signed-object.ts";
import { loadManifest } from "../launch/index.ts";
import { namingFile } from "./file-error.ts";
import type { Project } from "./config/load.ts";
import type { JobConfig } from "./config/schema.ts";
import { queryDigest } from "./job-queries.ts";
import type { Query } from "./job-queries.ts";
import type { Workspace } from "./workspace.ts";
import { writeJson } from "./write-json.ts";

const DAY_MS = 86_400_000;
const DEFAULT_MEMORY_MIB = 1024;
const DEFAULT_TIMEOUT_SECONDS = 300;

/** A job of ppml.yaml. @throws config.invalid */
export function findJob(project: Project, name: string): JobConfig {
  const { jobs } = project.config;
  const found = Object.hasOwn(jobs, name) ? jobs[name] : undefined;
  if (found !== undefined) return found;
  throw new PpmlError(
    "config.invalid",
    `ppml.yaml has no job ${name}; it has ${Object.keys(jobs).join(", ") || "none"}`,
  );
}

/** Path of the signed object of a job. */
export function jobPath(project: Project, name: string): string {
  return join(project.root, "jobs", `${name}.job.json`);
}

/** Builds what the owner signs from a job of ppml.yaml. */
export async function buildJob(
  workspace: Workspace,
  options: {
    readonly name: string;
    readonly config: JobConfig;
    readonly queries: readonly Query[];
    readonly nowMs: number;
  },
): Promise<Job> {
  const { name, config, queries, nowMs } = options;
  const output = workspace.dataset(config.output);
  const [group] = output.groups;
  if (group === undefined || output.groups.length !== 1)
    throw new PpmlError(
      "config.invalid",
      `the output dataset ${config.output} needs exactly one column group`,
    );
  const kek = await workspace.kek(group.kek);
  return {
    v: 1,
    name,
    policy: config.policy,
    purpose: config.purpose,
    engine: {
      name: "sql",
      settings: {
        memoryMiB: config.limits?.memoryMiB ?? DEFAULT_MEMORY_MIB,
        timeoutSeconds: config.limits?.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS,
        threads: config.limits?.threads ?? availableParallelism(),
      },
    },
    code: queries.map((query) => ({
      kind: "sql" as const,
      name: query.name,
      sha256: queryDigest(query),
    })),
    arguments: [],
    environment: [],
    inputs: await Promise.all(
      Object.entries(config.inputs).map(async ([view, input]) => ({
        name: view,
        datasetId: workspace.datasetId(input.dataset),
        columns: input.columns ?? (await allColumns(workspace, input.dataset)),
      })),
    ),
    output: {
      name: config.output,
      datasetId: workspace.datasetId(config.output),
      kekId: kek.kekId,
      kekThumbprint: jwkThumbprint(kek.jwk),
    },
    issuedAt: toTimestamp(nowMs),
    expiresAt: toTimestamp(nowMs + config.validDays * DAY_MS),
  };
}

/** Every top-level column of a sealed table; null for files. */
async function allColumns(workspace: Workspace, dataset: string): Promise<string[] | null> {
  const envelope = await loadManifest(await workspace.store(dataset), null).catch(
    (cause: unknown) => {
      throw new PpmlError(
        "launch.job",
        `the columns of ${dataset} are not known before it is sealed: seal it, or list the input's columns in ppml.yaml`,
        { cause },
      );
    },
  );
  const { schema, tables } = peekObject({
    kind: "manifest",
    schema: manifestSchema,
    envelope,
  }).payload;
  if (tables !== undefined)
    throw new PpmlError(
      "launch.job",
      `${dataset} holds the results of ${tables.length} queries, which are no one table: a job cannot read it`,
    );
  if (schema === null) return null;
  return [...new Set(schema.map((column) => column.name.split(".")[0] ?? column.name))];
}

/**
 * Reads a signed job; its signature is the policy's to judge.
 * @throws launch.job where there is none, format.invalid with the file
 */
export async function loadSignedJob(project: Project, name: string): Promise<Envelope> {
  const bytes = await readFile(jobPath(project, name)).catch((cause: unknown) => {
    const isMissing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    const message = isMissing
      ? `the job ${name} is not signed yet: sign it with 'ppml job sign ${name}'`
      : `the signed job ${jobPath(project, name)} cannot be read (${cause instanceof Error ? cause.message : "unknown"}): make it readable, or sign the job again with 'ppml job sign ${name}'`;
    throw new PpmlError("launch.job", message, { cause });
  });
  const path = jobPath(project, name);
  try {
    const envelope = parseEnvelope(parseJson(bytes, path));
    peekObject({ kind: "job", schema: jobSchema, envelope });
    return envelope;
  } catch (cause) {
    throw namingFile(cause, { path, remedy: `sign it again: ppml job sign ${name}` });
  }
}

/** Writes an envelope where people find it. */
export async function saveEnvelope(path: string, envelope: Envelope): Promise<void> {
  await writeJson(path, envelope, { mode: "replace" });
}
