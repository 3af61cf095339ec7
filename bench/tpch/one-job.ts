import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { makeSandbox, probeIsolation } from "../../src/compute/sandbox.ts";
import { runPreview } from "../../src/compute/sql/execute.ts";
import { runSqlWorker } from "../../src/compute/sql/run-worker.ts";
import { sha256, toHex, utf8 } from "../../src/base/index.ts";
import type { SqlSettings } from "../../src/format/job.ts";
import { computeResults } from "../../src/launch/compute-results.ts";
import type { ComputedResults, EngineHost } from "../../src/launch/compute-results.ts";
import { makeWorkerServices } from "../../src/launch/worker-services.ts";
import { openLocalStore } from "../../src/store/index.ts";
import { makeTestKek, releaseKeys } from "../../test/compute/fixture.ts";
import { alternate, measuredCommand, measuredWithChildren } from "../measure.ts";
import { memoryFolder } from "../memory-folder.ts";
import { openPlain } from "./plain-session.ts";
import { checkSame, MOST_ROWS, readQueries, SETTINGS, textOf } from "./queries.ts";
import type { Answer, Query } from "./queries.ts";
import type { Pair } from "./rounds.ts";
import { makeTpchTables } from "./tables.ts";
import type { TpchTables } from "./tables.ts";

const ROOT = join(import.meta.dirname, "../..");
const PLAIN_MAIN = join(import.meta.dirname, "plain-main.mjs");
/** Where `npm run build` puts the package's modules: TypeScript is compiled before, as for users. */
const COMPILED = join(ROOT, "dist/compute/sql");
const WORKER_MAIN = join(COMPILED, "worker-main.js");

/** What the plain side's program is told. */
type PlainOrder = {
  /** The module of `openSession`. */
  readonly session: string;
  readonly settings: SqlSettings;
  readonly tables: readonly { readonly name: string; readonly path: string }[];
  readonly queries: readonly { readonly sql: string; readonly output: string }[];
};
const KEK = makeTestKek("bench/results");

type Bench = { readonly tables: TpchTables; readonly folder: string };

/**
 * Measures one job of all queries, as the launcher runs it: a worker in its sandbox, its results
 * sealed and stored. The plain side is the same DuckDB in a process of its own in such a sandbox,
 * which writes its results as Parquet. Both sides run compiled modules, and have their process's
 * start in their figures.
 * @throws RangeError where an answer is empty or differs
 */
export async function measureOneJob(options: {
  readonly scale: number;
  readonly generator: string;
  readonly rounds: number;
}): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  measuredCommand([process.execPath, join(ROOT, "tools/build.ts")], { cwd: ROOT });
  const folder = mkdtempSync(join(memoryFolder(), "ppml-bench-"));
  stack.defer(() => {
    rmSync(folder, { recursive: true });
  });
  const tables = await makeTpchTables(folder, { ...options, stack });
  const bench = { tables, folder };
  const queries = readQueries();
  let theirs: readonly string[] = [];
  let ours: ComputedResults | null = null;
  const pair = await alternate(
    {
      plain: () =>
        measuredWithChildren(async () => {
          theirs = await runPlainProcess(bench, queries);
        }),
      sealed: () =>
        measuredWithChildren(async () => {
          ours = await runSealedJob(bench, queries);
        }),
    },
    { rounds: options.rounds, warmUps: 1 },
  );
  if (ours === null) throw new RangeError("no job ran");
  const sealed = await readSealed(bench, ours);
  for (const [at, { name }] of queries.entries())
    checkSame(name, { plain: await readPlain(theirs[at] ?? ""), sealed: sealed[at] });
  return pair;
}

async function runPlainProcess(
  { tables, folder }: Bench,
  queries: readonly Query[],
): Promise<readonly string[]> {
  const out = join(folder, "plain-results");
  mkdirSync(out, { recursive: true });
  const outputs = queries.map(({ name }) => join(out, `${name}.parquet`));
  const order: PlainOrder = {
    session: pathToFileURL(join(COMPILED, "session.js")).href,
    settings: SETTINGS,
    tables: tables.tables.map(({ name, plainPath }) => ({ name, path: plainPath })),
    queries: queries.map((query, at) => ({ sql: textOf(query), output: outputs[at] ?? "" })),
  };
  using sandbox = makeSandbox({
    mode: "simulation",
    isolation: probeIsolation(),
    tmpfsBytes: (SETTINGS.memoryMiB / 2) * 1024 * 1024,
  });
  const { file, args } = sandbox.command(process.execPath, [PLAIN_MAIN, JSON.stringify(order)]);
  const child = spawn(file, args, { stdio: ["ignore", "ignore", "inherit"] });
  const [status] = (await once(child, "exit")) as [number | null];
  if (status !== 0) throw new RangeError(`the plain side ended with ${status}`);
  return outputs;
}

function runSealedJob(
  { tables, folder }: Bench,
  queries: readonly Query[],
): Promise<ComputedResults> {
  const host: EngineHost = {
    config: { mode: "simulation" },
    nodePath: process.execPath,
    workerPath: WORKER_MAIN,
    tell: () => undefined,
  };
  return computeResults(host, {
    job: {
      code: queries.map(({ name, sql }) => ({
        kind: "sql" as const,
        name,
        sha256: toHex(sha256(utf8(sql))),
      })),
      engine: { name: "sql", settings: SETTINGS },
      environment: [],
    },
    texts: queries.map(({ sql }) => sql),
    inputs: tables.tables.map(({ name, manifest, source }) => ({
      name,
      datasetId: manifest.datasetId,
      columns: null,
      files: manifest.files,
      sources: [source],
    })),
    localKeys: tables.localKeys,
    kek: KEK.publicKey,
    store: openLocalStore(join(folder, "results")),
    version: 1,
  });
}

/** The rows of the sealed results, as their owner would see them. */
async function readSealed({ folder }: Bench, computed: ComputedResults): Promise<Answer[]> {
  await using stack = new AsyncDisposableStack();
  const store = openLocalStore(join(folder, "results"));
  const { result, fileNames, wrapped } = computed;
  const sources = [];
  for (const name of fileNames) sources.push([stack.use(await store.source(name))]);
  using sandbox = makeSandbox({
    mode: "simulation",
    isolation: probeIsolation(),
    tmpfsBytes: (SETTINGS.memoryMiB / 2) * 1024 * 1024,
  });
  const { results } = await runSqlWorker({
    task: {
      queries: result.results.map(({ name }) => ({ name, sql: `SELECT * FROM ${name}` })),
      settings: SETTINGS,
      workDirectory: sandbox.workDirectory,
      inputs: result.results.map(({ name, rows, sealed }, at) => ({
        name,
        datasetId: "00".repeat(16),
        columns: null,
        files: [
          {
            name: fileNames[at] ?? "",
            kind: "table" as const,
            fileId: sealed?.fileId ?? "",
            length: sealed?.length ?? 0,
            size: rows,
            digest: sealed?.footerDigest ?? "",
          },
        ],
      })),
      output: { kind: "rows", limit: MOST_ROWS },
    },
    sandbox,
    nodePath: process.execPath,
    entryPath: WORKER_MAIN,
    environment: [],
    services: makeWorkerServices({
      sources,
      localKeys: releaseKeys({ localKeys: [{ ...wrapped, group: "result" }] }, [KEK]),
      resultDeks: [],
      output: () => Promise.resolve(),
      progress: () => undefined,
    }),
  });
  return results.map(({ preview }) => preview ?? []);
}

async function readPlain(path: string): Promise<Answer> {
  using session = await openPlain({
    settings: SETTINGS,
    tables: [{ name: "result", path }],
    outputs: [],
  });
  return await runPreview(session.connection, "FROM result", MOST_ROWS);
}
