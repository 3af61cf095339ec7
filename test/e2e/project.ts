import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runInProcess } from "../cli/ppml.ts";
import { writeParquet } from "../compute/fixture.ts";

const PPML = join(import.meta.dirname, "../../bin/ppml");

/** How a command of the CLI ended. */
export type Ran = { readonly status: number; readonly stdout: string; readonly stderr: string };

/** A project driven by the CLI alone, with a folder of its own for temporary files. */
export type TestProject = {
  readonly root: string;
  readonly temporary: string;
  run(...args: readonly string[]): Ran;
  /** As `run`; throws where the exit code is not 0. */
  must(...args: readonly string[]): Ran;
  /** As `run`, in this process: for commands whose own process is not what is tested. */
  runHere(...args: readonly string[]): Promise<Ran>;
  /** As `must`, in this process. */
  mustHere(...args: readonly string[]): Promise<Ran>;
};

/**
 * The sections of ppml.yaml from `datasets` on: the table `people`, its job `answer`, the policies.
 * @param place where the stores are
 * @param more datasets besides, as YAML
 */
export function peopleYaml(place: string, more = ""): string {
  return `
datasets:
  people:
    source: data/people.parquet
    store: ${place}/people
    groups:
      - { name: ordinary, kek: ordinary }
      - { name: sensitive, kek: sensitive, columns: [note] }
${more}  answers:
    store: ${place}/answers
    groups: [{ name: all, kek: results }]
policies:
  analysis: { file: policies/analysis.json }
  owner: { file: policies/owner.json }
jobs:
  answer:
    engine: sql
    code: queries/answer.sql
    policy: analysis
    purpose: a test
    inputs: { people: { dataset: people } }
    output: answers
    limits: { memoryMiB: 512, timeoutSeconds: 60, threads: 2 }
`;
}

/** Makes a project with one table, whose column `note` holds `canary` in every row, uncompressed. */
export async function makeTestProject(options: {
  readonly folder: string;
  readonly canary: string;
  readonly sql: string;
  /** The owner's policy lets the owner open every dataset. */
  readonly ownerOpens?: boolean;
  /** Adds to the project before it is sealed; gives the names of jobs to sign too. */
  readonly extend?: (root: string) => Promise<readonly string[]>;
}): Promise<TestProject> {
  const root = join(options.folder, "project");
  const temporary = join(options.folder, "tmp");
  mkdirSync(temporary);
  const run = (...args: readonly string[]): Ran => {
    const done = spawnSync(PPML, args, {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, TMPDIR: temporary },
    });
    return { status: done.status ?? 1, stdout: done.stdout, stderr: done.stderr };
  };
  const must = (...args: readonly string[]): Ran => succeeded(args, run(...args));
  mkdirSync(root);
  // In this process: each process of its own costs a third of a second.
  const runHere = async (...args: readonly string[]): Promise<Ran> => {
    const { code, stdout, stderr } = await runInProcess(args, { cwd: root });
    return { status: code ?? 1, stdout, stderr };
  };
  const mustHere = async (...args: readonly string[]): Promise<Ran> =>
    succeeded(args, await runHere(...args));
  await mustHere("init", ".", "--template", "empty", "--name", "test");
  const path = join(root, "ppml.yaml");
  const head = readFileSync(path, "utf8").split("\ndatasets:")[0] ?? "";
  writeFileSync(path, head + peopleYaml("sealed"));
  mkdirSync(join(root, "data"), { recursive: true });
  mkdirSync(join(root, "queries"), { recursive: true });
  writeFileSync(join(root, "queries", "answer.sql"), options.sql);
  await writeParquet(
    join(root, "data", "people.parquet"),
    `SELECT i AS id, '${options.canary}' || i AS note FROM range(5000) t(i)`,
    ", COMPRESSION uncompressed, DICTIONARY_SIZE_LIMIT 1",
  );
  const jobs = ["answer", ...((await options.extend?.(root)) ?? [])];
  const keks = ["ordinary", "sensitive", "results"];
  for (const name of keks) await mustHere("key", "create", name);
  await mustHere("data", "seal");
  for (const job of jobs) await mustHere("job", "sign", job);
  const grants = options.ownerOpens === true ? keks.flatMap((kek) => ["--grant", kek]) : [];
  await mustHere("policy", "draft", "analysis");
  await mustHere("policy", "draft", "owner", ...grants);
  await mustHere("policy", "apply");
  return { root, temporary, run, must, runHere, mustHere };
}

function succeeded(args: readonly string[], done: Ran): Ran {
  if (done.status !== 0) throw new Error(`ppml ${args.join(" ")}: ${done.stderr}`);
  return done;
}

/** The files below `folder`, by their whole path. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

/** The files below `folder` that hold `text` as UTF-8, UTF-16, hex or base64 at any alignment. */
export function filesWith(folder: string, text: string): string[] {
  const utf8 = Buffer.from(text);
  const needles = [
    utf8,
    Buffer.from(text, "utf16le"),
    utf8.toString("hex"),
    utf8.toString("hex").toUpperCase(),
    // Cut to whole groups of three bytes, the middle of it reads the same wherever it begins.
    ...[0, 1, 2].map((skip) =>
      utf8.subarray(skip, skip + Math.floor((utf8.length - skip) / 3) * 3).toString("base64"),
    ),
  ];
  return filesBelow(folder).filter((path) => {
    const bytes = readFileSync(path);
    return needles.some((needle) => bytes.includes(needle));
  });
}

/** Names and SHA-256 digests of all files below a folder, without a store's own lock. */
export function pictureOf(folder: string): Record<string, string> {
  if (!existsSync(folder)) return {};
  const paths = filesBelow(folder).filter((path) => !path.includes(".ppml-lock"));
  return Object.fromEntries(paths.map((path) => [path, digestOf(path)]));
}

function digestOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
