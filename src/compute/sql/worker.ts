import { version as engineVersion } from "@duckdb/node-api";
import { openMemoryFile } from "./memory-file.ts";
import { openInputs } from "./open-inputs.ts";
import { hideEmptyTables, makePlaces, pathsOf, showEmptyTables } from "./places.ts";
import { planTask } from "./plan-task.ts";
import { runQueries } from "./run-queries.ts";
import { openSession } from "./session.ts";
import type { WorkerResult, WorkerTask } from "./task.ts";
import type { WorkerChannel } from "./worker-channel.ts";

/**
 * Runs one task: plans its queries over empty tables, opens only the columns and row groups that the
 * plans name into nameless memory files, runs them, and seals each result from memory.
 */
export async function runTask(task: WorkerTask, channel: WorkerChannel): Promise<WorkerResult> {
  using stack = new DisposableStack();
  const places = makePlaces(task, await openInputs(task, channel, stack), stack);
  const output = stack.use(openMemoryFile(task.workDirectory));
  // One engine plans and runs: making another costs as much as a small query.
  using session = await openSession({
    settings: task.settings,
    paths: [...pathsOf(places), output.path],
  });
  const { connection } = session;
  const types = await showEmptyTables(connection, places);
  const plan = await planTask(connection, { queries: task.queries, places, types });
  await hideEmptyTables(connection, places);
  await session.lock();
  const { opened, results } = await runQueries({
    connection,
    channel,
    places,
    plan,
    output,
    kind: task.output,
  });
  return { engineVersion: `DuckDB ${engineVersion()}`, opened, results };
}
