import { version as engineVersion } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import { PpmlError, fromBase64Url, toHex } from "../../base/index.ts";
import { decryptTable, encodeSkeleton, sealParquet } from "../../format/parquet/index.ts";
import { openMemoryFile } from "./memory-file.ts";
import type { MemoryFile } from "./memory-file.ts";
import { openInputs, readerOf } from "./open-inputs.ts";
import type { OpenInput, OpenTableFile } from "./open-inputs.ts";
import { planQuery } from "./plan.ts";
import type { TableUse } from "./plan.ts";
import { columnTypes, describeQuery, executeSafely, runPreview } from "./execute.ts";
import { neededRowGroups } from "./row-groups.ts";
import { openSession, quoteLiteral, quoteName, singleSelect } from "./session.ts";
import { KEY_OF } from "./task.ts";
import type { OpenedInput, WorkerResult, WorkerTask } from "./task.ts";
import type { WorkerChannel } from "./worker-channel.ts";

/** An input with the files by which the engine reads it. */
type Place = {
  readonly input: OpenInput;
  /** Shows the input's columns without its pages; the first file itself where it is no table. */
  readonly sample: MemoryFile;
  /** Of a table, to be filled when the query is planned. */
  readonly files: readonly MemoryFile[];
};
type Plan = {
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
  const inputs = await openInputs(task, channel, stack);
  const places = inputs.map((input) => placeOf(task, input, stack));
  const output = stack.use(openMemoryFile(task.workDirectory));
  // One engine plans and runs: making another costs as much as a small query.
  using session = await openSession({
    settings: task.settings,
    paths: [...places.flatMap(({ sample, files }) => [sample, ...files]), output].map(
      ({ path }) => path,
    ),
  });
  const { connection } = session;
  const plan = await planTask(connection, task, places);
  const opened: OpenedInput[] = [];
  for (const { input, files } of places) {
    if (input.kind === "tables")
      opened.push(await openPages({ channel, plan, input, files }));
    const { name } = input.input;
    await executeSafely(connection, `DROP TABLE ${quoteName(name)}`);
    await executeSafely(connection, `CREATE VIEW ${quoteName(name)} AS ${selectOf(input, files)}`);
  }
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

/** Makes the memory files of an input: the engine has to know their paths before it plans. */
function placeOf(task: WorkerTask, input: OpenInput, stack: DisposableStack): Place {
  const make = (): MemoryFile => stack.use(openMemoryFile(task.workDirectory));
  if (input.kind === "files") return { input, sample: firstOf(input.files), files: input.files };
  const sample = make();
  sample.append(encodeSkeleton(firstOf(input.files).footer, { rowGroups: "none" }));
  return { input, sample, files: input.files.map(make) };
}

/**
 * Plans over empty tables with the job's columns: nothing but footers was opened so far. From here
 * on the engine reads its own files only.
 */
async function planTask(
  connection: DuckDBConnection,
  task: WorkerTask,
  places: readonly Place[],
): Promise<Plan> {
  for (const { input, sample } of places) {
    const table = quoteName(input.input.name);
    const select = selectOf(input, [sample]);
    await executeSafely(connection, `CREATE TABLE ${table} AS ${select} LIMIT 0`);
  }
  await connection.run("SET enable_external_access=false");
  const sql = await singleSelect(connection, task.sql);
  const types = await columnTypes(connection);
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

/** Decrypts what the plan needs of an input's tables into its memory files. */
async function openPages(options: {
  readonly channel: WorkerChannel;
  readonly plan: Plan;
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

function firstOf<File>(files: readonly File[]): File {
  const [first] = files;
  if (first === undefined) throw new PpmlError("base.internal", "an input has no file");
  return first;
}

/** The engine's text that reads the job's columns of an input, and no others. */
function selectOf(input: OpenInput, files: readonly MemoryFile[]): string {
  const { columns } = input.input;
  const list = files.map((file) => quoteLiteral(file.path)).join(", ");
  const reader =
    input.kind === "tables" ? "read_parquet" : readerOf(input.input.files[0]?.name ?? "");
  const what = columns === null ? "*" : columns.map((column) => quoteName(column)).join(", ");
  return `SELECT ${what} FROM ${reader}([${list}])`;
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
