import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { utf8 } from "../../src/base/index.ts";
import { describeQuery, runPreview } from "../../src/compute/sql/execute.ts";
import { FRAME, sendFrame } from "../../src/compute/sql/frames.ts";
import { serveWorker } from "../../src/compute/sql/run-worker.ts";
import type { WorkerTask } from "../../src/compute/sql/task.ts";
import { openWorkerChannel } from "../../src/compute/sql/worker-channel.ts";
import { runTask } from "../../src/compute/sql/worker.ts";
import { makeWorkerServices } from "../../src/launch/worker-services.ts";
import { MOST_ROWS, SETTINGS, textOf } from "./queries.ts";
import type { Answer, Query } from "./queries.ts";
import { openPlain } from "./plain-session.ts";
import { tablesOf } from "./tables.ts";
import type { TpchTables } from "./tables.ts";

/** Runs a query over the plain tables that it names: a new session, views, the query. */
export async function runPlain({ tables }: TpchTables, query: Query): Promise<Answer> {
  const used = tablesOf([query], tables);
  using session = await openPlain({
    settings: SETTINGS,
    tables: used.map(({ name, plainPath: path }) => ({ name, path })),
    outputs: [],
  });
  const { connection } = session;
  const sql = textOf(query);
  // A job's result has a schema, which the worker asks for.
  await describeQuery(connection, sql);
  return await runPreview(connection, sql, MOST_ROWS);
}

/**
 * Runs a query over the sealed tables as a job's worker does: footers, plan, pages, session, query.
 * Launcher and worker are in this process, with a Unix socket and all frames between them.
 */
export async function runSealed(
  { tables, localKeys }: TpchTables,
  job: { readonly query: Query; readonly workDirectory: string },
): Promise<Answer> {
  const { query, workDirectory } = job;
  const used = tablesOf([query], tables);
  const task: WorkerTask = {
    queries: [query],
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
  const [launcherEnd, workerEnd] = await connectedSockets(workDirectory);
  const work = serveTask(workerEnd);
  await sendFrame(launcherEnd, { type: FRAME.task, payload: utf8(JSON.stringify(task)) });
  const { results } = await serveWorker(
    launcherEnd,
    makeWorkerServices({
      sources: used.map(({ source }) => [source]),
      localKeys,
      resultDeks: [],
      output: () => Promise.resolve(),
      progress: () => undefined,
    }),
  );
  await work;
  launcherEnd.destroy();
  workerEnd.destroy();
  const preview = results[0]?.preview;
  if (preview === undefined || preview === null) throw new RangeError("the worker gave no rows");
  return preview;
}

/** What worker-main.ts does, over a socket of this process. */
async function serveTask(socket: Socket): Promise<void> {
  const channel = openWorkerChannel(socket);
  try {
    await channel.done(await runTask(await channel.task, channel));
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
