import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { withTwin } from "../../src/twin/environment.ts";
import type { Twin } from "../../src/twin/start.ts";
import { runInProcess } from "../cli/ppml.ts";
import { writeParquet } from "../compute/fixture.ts";
import { peopleYaml } from "./project.ts";

const PPML = join(import.meta.dirname, "../../bin/ppml");

/** The account and filesystem of the tests. */
export const ACCOUNT = "lake1";
export const LAKE = `abfss://data@${ACCOUNT}.dfs.core.windows.net`;

/** How a command ended. */
export type Ran = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** A project whose stores are in the double's data lake, driven by the CLI in its environment. */
export type LakeProject = {
  readonly root: string;
  /** Files of the dataset `files`, below data/files. */
  readonly files: readonly string[];
  readonly run: (...args: readonly string[]) => Promise<Ran>;
  /** As `run`; throws where the exit code is not 0. */
  readonly must: (...args: readonly string[]) => Promise<Ran>;
  /** Begins a command in a process group of its own; `kill` ends it at once, and all it started. */
  readonly start: (...args: readonly string[]) => {
    readonly ended: Promise<Ran>;
    readonly kill: () => void;
  };
};

const FILES = `  files:
    source: data/files
    store: ${LAKE}/in/files
    groups: [{ name: all, kek: ordinary }]
`;
const YAML = `
dataLake:
  transport: environment${peopleYaml(LAKE, FILES)}`;

/** Makes the project; nothing is sealed yet. */
export async function makeLakeProject(options: {
  readonly folder: string;
  readonly twin: Pick<Twin, "environment">;
  readonly canary: string;
  readonly fileCount: number;
}): Promise<LakeProject> {
  const { canary } = options;
  const root = join(options.folder, "project");
  mkdirSync(root);
  const inProcess = async (...args: readonly string[]): Promise<void> => {
    const { code, stderr } = await runInProcess(args, { cwd: root });
    if (code !== 0) throw new Error(`ppml ${args.join(" ")}: ${stderr}`);
  };
  await inProcess("init", ".", "--template", "empty", "--name", "test");
  const path = join(root, "ppml.yaml");
  const head = readFileSync(path, "utf8").split("\ndatasets:")[0] ?? "";
  writeFileSync(path, head + YAML);
  mkdirSync(join(root, "data", "files", "deep"), { recursive: true });
  mkdirSync(join(root, "queries"), { recursive: true });
  writeFileSync(
    join(root, "queries", "answer.sql"),
    "SELECT count(*) AS n, min(note) AS first FROM people",
  );
  await writeParquet(
    join(root, "data", "people.parquet"),
    `SELECT i AS id, '${canary}' || i AS note FROM range(2000) t(i)`,
    ", COMPRESSION uncompressed, DICTIONARY_SIZE_LIMIT 1",
  );
  const files = Array.from(
    { length: options.fileCount },
    (_, i) => `deep/f${String(i).padStart(2, "0")}.bin`,
  );
  for (const [index, name] of files.entries())
    writeFileSync(join(root, "data", "files", name), Buffer.alloc(900_000, `${canary} ${index} `));
  for (const name of ["ordinary", "sensitive", "results"]) await inProcess("key", "create", name);
  const start = (...args: readonly string[]) => {
    const child = spawn(PPML, args, {
      cwd: root,
      env: withTwin(process.env, options.twin.environment),
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
    const ended = Promise.all([closed, text(child.stdout), text(child.stderr)]).then(
      ([code, stdout, stderr]) => ({ code, stdout, stderr }),
    );
    return { ended, kill: () => void process.kill(-(child.pid ?? 0), "SIGKILL") };
  };
  const run: LakeProject["run"] = (...args) => start(...args).ended;
  const must: LakeProject["must"] = async (...args) => {
    const done = await run(...args);
    if (done.code !== 0) throw new Error(`ppml ${args.join(" ")}: ${done.stdout}${done.stderr}`);
    return done;
  };
  return { root, files, run, must, start };
}
