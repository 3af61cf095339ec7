import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { utf8 } from "../../src/base/index.ts";
import { describeQuery, executeSafely, runPreview } from "../../src/compute/sql/execute.ts";
import { FRAME, sendFrame } from "../../src/compute/sql/frames.ts";
import { serveWorker } from "../../src/compute/sql/run-worker.ts";
import { openSession, quoteLiteral, quoteName } from "../../src/compute/sql/session.ts";
import { workerTaskSchema } from "../../src/compute/sql/task.ts";
import type { WorkerTask } from "../../src/compute/sql/task.ts";
import { openWorkerChannel } from "../../src/compute/sql/worker-channel.ts";
import { runTask } from "../../src/compute/sql/worker.ts";
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

/** Runs a query over the plain tables: a new session, views, the query. */
export async function runPlain({ tables }: TpchTables, sql: string): Promise<Answer> {
  const used = tablesOf(sql, tables);
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
  await describeQuery(connection, sql);
  const answer = await runPreview(connection, sql, MOST_ROWS);
  return answer;
}

/**
 * Runs a query over the sealed tables as a job's worker does: footers, plan, pages, session, query.
 * Launcher and worker are in this process, with a Unix socket and all frames between them.
 */
export async function runSealed(
  { tables, localKeys }: TpchTables,
  job: { readonly sql: string; readonly workDirectory: string },
): Promise<Answer> {
  const { sql, workDirectory } = job;
  const used = tablesOf(sql, tables);
  const task: WorkerTask = {
    sql,
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
  const work = runWorker(workerEnd);
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
  if (result.preview === null) throw new RangeError("the worker gave no rows");
  return result.preview;
}

/** What worker-main.ts does, over a socket of this process. */
async function runWorker(socket: Socket): Promise<void> {
  const channel = openWorkerChannel(socket);
  try {
    const json = parseJson(await channel.task, "task");
    const task = parseWith(workerTaskSchema, json, { what: "task" });
    await channel.done(await runTask(task, channel));
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
