import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import { utf8 } from "../../src/base/index.ts";
import { describeQuery, executeSafely, runPreview } from "../../src/compute/sql/execute.ts";
import { FRAME, sendFrame } from "../../src/compute/sql/frames.ts";
import { openInputs } from "../../src/compute/sql/open-inputs.ts";
import type { OpenTableFile } from "../../src/compute/sql/open-inputs.ts";
import { makePlaces, pathsOf, showEmptyTables, showOpened } from "../../src/compute/sql/places.ts";
import { serveWorker } from "../../src/compute/sql/run-worker.ts";
import { openSession, quoteLiteral, quoteName } from "../../src/compute/sql/session.ts";
import { workerTaskSchema } from "../../src/compute/sql/task.ts";
import type { WorkerResult, WorkerTask } from "../../src/compute/sql/task.ts";
import { openWorkerChannel } from "../../src/compute/sql/worker-channel.ts";
import { openPages, planTask, runTask } from "../../src/compute/sql/worker.ts";
import type { Plan } from "../../src/compute/sql/worker.ts";
import { parseJson } from "../../src/format/jcs.ts";
import { parseWith } from "../../src/format/schema.ts";
import { makeWorkerServices } from "../../src/launch/worker-services.ts";
import { makeResultKey } from "../../src/seal/index.ts";
import { makeTestKek } from "../../test/compute/fixture.ts";
import { tablesOf } from "./tables.ts";
import type { TpchTables } from "./tables.ts";

/** A query's answer: rows of values as text. */
export type Answer = readonly (readonly (string | null)[])[];

/** Both sides' engine: the same threads, memory and everything else that `openSession` sets. */
const SETTINGS: WorkerTask["settings"] = { memoryMiB: 8192, timeoutSeconds: 600, threads: 2 };
const MOST_ROWS = 100_000;
const RESULT_KEK = makeTestKek("bench/results");

/** A query of TPC-H by its number, `q01` to `q22`. */
export type Query = { readonly name: string; readonly sql: string };

/** Runs queries over the plain tables that they name: a new session, views, the queries. */
export async function runPlain(
  { tables }: TpchTables,
  queries: readonly Query[],
): Promise<readonly Answer[]> {
  const used = tablesOf(queries, tables);
  using session = await openSession({
    settings: SETTINGS,
    paths: used.map(({ plainPath }) => plainPath),
  });
  const { connection } = session;
  for (const { name, plainPath } of used)
    await executeSafely(
      connection,
      `CREATE VIEW ${quoteName(name)} AS SELECT * FROM read_parquet([${quoteLiteral(plainPath)}])`,
    );
  await session.lock();
  return await answersOf(connection, queries);
}

/**
 * Runs a query over the sealed tables as a job's worker does: footers, plan, pages, session, query.
 * Launcher and worker are in this process, with a Unix socket and all frames between them.
 */
export async function runSealed(
  tables: TpchTables,
  job: { readonly query: Query; readonly workDirectory: string },
): Promise<readonly Answer[]> {
  const { query, workDirectory } = job;
  const { preview } = await throughWorker(tables, {
    queries: [query],
    workDirectory,
    run: runTask,
  });
  if (preview === null) throw new RangeError("the worker gave no rows");
  return [preview];
}

/**
 * Runs many queries over the sealed tables with the worker's own steps, but opens only once what all
 * of them need together.
 */
export async function runSealedOnce(
  tables: TpchTables,
  job: { readonly queries: readonly Query[]; readonly workDirectory: string },
): Promise<readonly Answer[]> {
  const { queries } = job;
  const answers: Answer[] = [];
  const run: typeof runTask = async (task, channel) => {
    using stack = new DisposableStack();
    const places = makePlaces(task, await openInputs(task, channel, stack), stack);
    using session = await openSession({ settings: task.settings, paths: pathsOf(places) });
    const { connection } = session;
    const types = await showEmptyTables(connection, places);
    const plans: Plan[] = [];
    for (const { sql } of queries) plans.push(await planTask(connection, { sql, places, types }));
    const opened = await openPages(unionOf(plans), { channel, places });
    await showOpened(connection, places);
    await session.lock();
    answers.push(...(await answersOf(connection, queries)));
    return { engineVersion: "", opened, schema: [], rows: 0, sealed: null, preview: null };
  };
  await throughWorker(tables, { ...job, run });
  return answers;
}

/** What all plans need together. */
function unionOf(plans: readonly Plan[]): Pick<Plan, "uses" | "rowGroups"> {
  const uses = new Map<string, { readonly columns: Set<string>; readonly scans: null }>();
  const rowGroups = new Map<OpenTableFile, readonly number[]>();
  for (const plan of plans) {
    for (const [name, { columns }] of plan.uses) {
      const known = uses.get(name)?.columns ?? [];
      uses.set(name, { columns: new Set([...known, ...columns]), scans: null });
    }
    for (const [file, needed] of plan.rowGroups) {
      const all = new Set([...(rowGroups.get(file) ?? []), ...needed]);
      rowGroups.set(
        file,
        [...all].sort((a, b) => a - b),
      );
    }
  }
  return { uses, rowGroups };
}

async function answersOf(
  connection: DuckDBConnection,
  queries: readonly Query[],
): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const query of queries) {
    const sql = query.sql.trim().replace(/;$/, "");
    // A job's result has a schema, which the worker asks for.
    await describeQuery(connection, sql);
    answers.push(await runPreview(connection, sql, MOST_ROWS));
  }
  return answers;
}

/** Gives a task to a worker in this process, and serves it as its launcher. */
async function throughWorker(
  { tables, localKeys }: TpchTables,
  job: {
    readonly queries: readonly Query[];
    readonly workDirectory: string;
    readonly run: typeof runTask;
  },
): Promise<WorkerResult> {
  const { queries, workDirectory, run } = job;
  const used = tablesOf(queries, tables);
  const task: WorkerTask = {
    sql: queries[0]?.sql ?? "",
    settings: SETTINGS,
    workDirectory,
    inputs: used.map(({ name, manifest }) => ({
      name,
      datasetId: manifest.datasetId,
      columns: null,
      files: manifest.files,
    })),
    descriptors: used.map(({ source }) => [source.descriptor ?? null]),
    output: { kind: "rows", limit: MOST_ROWS },
  };
  using resultKey = makeResultKey(RESULT_KEK.publicKey);
  const [launcherEnd, workerEnd] = await connectedSockets(workDirectory);
  const work = serveTask(workerEnd, run);
  await sendFrame(launcherEnd, { type: FRAME.task, payload: utf8(JSON.stringify(task)) });
  const result = await serveWorker(
    launcherEnd,
    makeWorkerServices({
      sources: used.map(({ source }) => [source]),
      localKeys,
      resultDek: resultKey.dek,
      output: () => Promise.resolve(),
      progress: () => undefined,
    }),
  );
  await work;
  launcherEnd.destroy();
  workerEnd.destroy();
  return result;
}

/** What worker-main.ts does, over a socket of this process. */
async function serveTask(socket: Socket, run: typeof runTask): Promise<void> {
  const channel = openWorkerChannel(socket);
  try {
    const json = parseJson(await channel.task, "task");
    const task = parseWith(workerTaskSchema, json, { what: "task" });
    await channel.done(await run(task, channel));
  } catch (error) {
    await channel.fail(error);
  }
}

async function connectedSockets(folder: string): Promise<readonly [Socket, Socket]> {
  const path = join(folder, "channel");
  const server = createServer().listen(path);
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const mine = connect(path);
  const [theirs] = await accepted;
  // Closes the listening socket only, and removes its path.
  server.close();
  return [mine, theirs];
}
