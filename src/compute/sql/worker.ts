import { version as engineVersion } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import { fromBase64Url, toHex } from "../../base/index.ts";
import { decryptTable, sealParquet } from "../../format/parquet/index.ts";
import { openMemoryFile } from "./memory-file.ts";
import type { MemoryFile } from "./memory-file.ts";
import { openInputs } from "./open-inputs.ts";
import type { OpenInput, OpenTableFile } from "./open-inputs.ts";
import { makePlaces, pathsOf, showEmptyTables, showOpened } from "./places.ts";
import type { ColumnTypes, Place } from "./places.ts";
import { planQuery } from "./plan.ts";
import type { TableUse } from "./plan.ts";
import { describeQuery, executeSafely, runPreview } from "./execute.ts";
import { neededRowGroups } from "./row-groups.ts";
import { openSession, quoteLiteral, singleSelect } from "./session.ts";
import { KEY_OF } from "./task.ts";
import type { OpenedInput, WorkerResult, WorkerTask } from "./task.ts";
import type { WorkerChannel } from "./worker-channel.ts";

/** What a query needs of its inputs. */
export type Plan = {
  readonly sql: string;
  readonly uses: ReadonlyMap<string, TableUse>;
  /** The row groups of each table file that the query may need. */
  readonly rowGroups: ReadonlyMap<OpenTableFile, readonly number[]>;
};

/**
 * Runs one task: plans the query over empty tables, opens only the columns and row groups that the
 * plan names into nameless memory files, runs it, and seals its result from memory.
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
  const plan = await planTask(connection, { sql: task.sql, places, types });
  const opened = await openPages(plan, { channel, places });
  await showOpened(connection, places);
  await session.lock();
  await channel.progress({ step: "compute", done: 0, total: 1 });
  const schema = await describeQuery(connection, plan.sql);
  const base = { engineVersion: `DuckDB ${engineVersion()}`, opened, schema };
  if (task.output.kind === "rows") {
    const preview = await runPreview(connection, plan.sql, task.output.limit);
    return { ...base, rows: preview.length, sealed: null, preview };
  }
  await executeSafely(
    connection,
    `COPY (${plan.sql}\n) TO ${quoteLiteral(output.path)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`,
  );
  const keyMetadata = fromBase64Url(task.output.keyMetadata);
  const { rows, sealed } = await sealResult(output, { channel, keyMetadata });
  return { ...base, rows, sealed, preview: null };
}

/** Plans over empty tables: nothing but footers was opened so far. */
export async function planTask(
  connection: DuckDBConnection,
  what: { readonly sql: string; readonly places: readonly Place[]; readonly types: ColumnTypes },
): Promise<Plan> {
  const { places, types } = what;
  const sql = await singleSelect(connection, what.sql);
  const tables = places.map(({ input: { input } }) => ({
    name: input.name,
    columns: [...(types.get(input.name)?.keys() ?? [])],
  }));
  const uses = await planQuery({ connection, sql, tables });
  await connection.run("RESET disabled_optimizers");
  const rowGroups = new Map<OpenTableFile, readonly number[]>();
  for (const { input } of places) {
    if (input.kind !== "tables") continue;
    const { name } = input.input;
    const needed = neededRowGroups({
      footers: input.files.map(({ footer }) => footer),
      scans: uses.get(name)?.scans ?? null,
      types: types.get(name) ?? new Map(),
    });
    for (const [at, file] of input.files.entries()) rowGroups.set(file, needed[at] ?? []);
  }
  return { sql, uses, rowGroups };
}

/** Decrypts what the plan needs of all tables into their memory files. */
export async function openPages(
  plan: Pick<Plan, "uses" | "rowGroups">,
  to: { readonly channel: WorkerChannel; readonly places: readonly Place[] },
): Promise<OpenedInput[]> {
  const opened: OpenedInput[] = [];
  for (const { input, files } of to.places)
    if (input.kind === "tables")
      opened.push(await openInput({ channel: to.channel, plan, input, files }));
  return opened;
}

async function openInput(options: {
  readonly channel: WorkerChannel;
  readonly plan: Pick<Plan, "uses" | "rowGroups">;
  readonly input: Extract<OpenInput, { kind: "tables" }>;
  readonly files: readonly MemoryFile[];
}): Promise<OpenedInput> {
  const { channel, plan, input, files } = options;
  const { name } = input.input;
  const columns = [...(plan.uses.get(name)?.columns ?? [])];
  let rowGroups = 0;
  let rowGroupsOpened = 0;
  for (const [at, file] of input.files.entries()) {
    const needed = plan.rowGroups.get(file) ?? [];
    await decryptTable({
      ...file,
      columns,
      rowGroups: needed,
      unauthenticated: "refuse",
      // The engine has no use for page indexes.
      indexes: "bloom",
      write: (bytes) => {
        files[at]?.append(bytes);
      },
    });
    rowGroups += file.footer.rowGroups.length;
    rowGroupsOpened += needed.length;
    await channel.progress({ step: "open", done: at + 1, total: input.files.length });
  }
  const bytesOpened = files.reduce((sum, file) => sum + file.size(), 0);
  return { name, columns, rowGroups, rowGroupsOpened, bytesOpened };
}

async function sealResult(
  output: MemoryFile,
  options: { readonly channel: WorkerChannel; readonly keyMetadata: Uint8Array },
): Promise<{ readonly rows: number; readonly sealed: WorkerResult["sealed"] }> {
  const { channel, keyMetadata } = options;
  using dek = await channel.key(KEY_OF.result, new Uint8Array(0));
  const sealing = sealParquet({
    source: output.source(),
    footerKey: { dek, keyMetadata },
    columnKeys: [],
  });
  for (;;) {
    const next = await sealing.next();
    if (next.done !== true) {
      await channel.output(next.value);
      continue;
    }
    const { rows, fileUnique, length, footerDigest } = next.value;
    return {
      rows,
      sealed: { fileId: toHex(fileUnique), length, footerDigest: toHex(footerDigest) },
    };
  }
}
