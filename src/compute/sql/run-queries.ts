import type { DuckDBConnection } from "@duckdb/node-api";
import { fromBase64Url, PpmlError, toHex } from "../../base/index.ts";
import { sealParquet } from "../../format/parquet/seal-parquet.ts";
import { executeSafely, runPreview } from "./execute.ts";
import { KEY_OF } from "./frames.ts";
import type { MemoryFile } from "./memory-file.ts";
import { openPages, unopened } from "./open-pages.ts";
import { hideOpened, showOpened } from "./places.ts";
import type { Place } from "./places.ts";
import type { PlannedQuery, TaskPlan } from "./plan-task.ts";
import { queryOf } from "./query-error.ts";
import { quoteLiteral } from "./session.ts";
import type { OpenedInput, QueryResult, WorkerTask } from "./task.ts";
import type { WorkerChannel } from "./worker-channel.ts";

/** A planned task with what its queries run in. */
export type RunningTask = {
  readonly connection: DuckDBConnection;
  readonly channel: WorkerChannel;
  readonly places: readonly Place[];
  readonly plan: TaskPlan;
  /** Where the engine writes a result before it is sealed; empty before and after each query. */
  readonly output: MemoryFile;
  readonly kind: WorkerTask["output"];
};

/**
 * Runs the queries one after the other and seals each result from memory. An input is opened once,
 * before the first query that names it and with what all of them need, and is gone after the last.
 */
export async function runQueries(
  task: RunningTask,
): Promise<{ readonly opened: OpenedInput[]; readonly results: QueryResult[] }> {
  const { connection, channel, places } = task;
  const { queries, opening } = task.plan;
  const opened = new Map<string, OpenedInput>();
  const results: QueryResult[] = [];
  for (const [at, query] of queries.entries()) {
    await channel.progress({ step: "compute", done: at, total: queries.length });
    const first = placesOf(places, queries, { at, end: "first" });
    for (const one of await openPages(opening, { channel, places: first }))
      opened.set(one.name, one);
    await showOpened(connection, first);
    results.push(await queryOf(queries, at).run(() => runOne(task, { query, at })));
    await hideOpened(connection, placesOf(places, queries, { at, end: "last" }));
  }
  return {
    opened: places.flatMap(({ input }) => opened.get(input.input.name) ?? unopened(input)),
    results,
  };
}

/** The inputs that the query at a place is the first, or the last, to name. */
function placesOf(
  places: readonly Place[],
  queries: readonly PlannedQuery[],
  of: { readonly at: number; readonly end: "first" | "last" },
): readonly Place[] {
  return places.filter(({ input: { input } }) => {
    const names = (query: PlannedQuery): boolean => query.inputs.has(input.name);
    return of.at === (of.end === "first" ? queries.findIndex(names) : queries.findLastIndex(names));
  });
}

async function runOne(
  task: RunningTask,
  { query, at }: { readonly query: PlannedQuery; readonly at: number },
): Promise<QueryResult> {
  const { connection, output, kind } = task;
  const { name, sql, schema } = query;
  if (kind.kind === "rows") {
    const preview = await runPreview(connection, sql, kind.limit);
    return { name, schema, rows: preview.length, sealed: null, preview };
  }
  await executeSafely(
    connection,
    `COPY (${sql}\n) TO ${quoteLiteral(output.path)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`,
  );
  const sealed = await sealResult(task, { at, keyMetadata: kind.keyMetadata[at] });
  output.clear();
  return { name, schema, ...sealed, preview: null };
}

async function sealResult(
  { channel, output }: RunningTask,
  of: { readonly at: number; readonly keyMetadata: string | undefined },
): Promise<Pick<QueryResult, "rows" | "sealed">> {
  const { at, keyMetadata } = of;
  if (keyMetadata === undefined)
    throw new PpmlError("base.internal", `the task has no key for the result of query ${at}`);
  const place = new Uint8Array(4);
  new DataView(place.buffer).setUint32(0, at, true);
  using dek = await channel.key(KEY_OF.result, place);
  const sealing = sealParquet({
    source: output.source(),
    footerKey: { dek, keyMetadata: fromBase64Url(keyMetadata) },
    columnKeys: [],
  });
  for (;;) {
    const next = await sealing.next();
    if (next.done !== true) {
      await channel.output(at, next.value);
      continue;
    }
    const { rows, fileUnique, length, footerDigest } = next.value;
    return {
      rows,
      sealed: { fileId: toHex(fileUnique), length, footerDigest: toHex(footerDigest) },
    };
  }
}
