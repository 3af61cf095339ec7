import { version as engineVersion } from "@duckdb/node-api";
import { PpmlError, fromBase64Url, toHex } from "../../base/index.ts";
import { decryptTable, encodeSkeleton, sealParquet } from "../../format/parquet/index.ts";
import { openMemoryFile } from "./memory-file.ts";
import type { MemoryFile } from "./memory-file.ts";
import { openInputs, readerOf } from "./open-inputs.ts";
import type { OpenInput, OpenTableFile } from "./open-inputs.ts";
import { planQuery } from "./plan.ts";
import type { TableUse } from "./plan.ts";
import { describeQuery, executeSafely, runPreview } from "./execute.ts";
import { neededRowGroups } from "./row-groups.ts";
import { openSession, quoteLiteral, quoteName, singleSelect } from "./session.ts";
import { KEY_OF } from "./task.ts";
import type { OpenedInput, WorkerResult, WorkerTask } from "./task.ts";
import type { WorkerChannel } from "./worker-channel.ts";

/** A view of the job: the engine's text that reads it. */
type View = { readonly name: string; readonly select: string };
type Plan = {
  readonly sql: string;
  readonly uses: ReadonlyMap<string, TableUse>;
  /** The row groups of each table file that the query may need. */
  readonly rowGroups: ReadonlyMap<OpenTableFile, ReadonlySet<number>>;
};

/**
 * Runs one task: plans the query over empty tables, opens only the columns and row groups that the
 * plan names into nameless memory files, runs it, and seals its result from memory.
 */
export async function runTask(task: WorkerTask, channel: WorkerChannel): Promise<WorkerResult> {
  using stack = new DisposableStack();
  const inputs = await openInputs(task, channel, stack);
  const plan = await planTask(task, inputs);
  const opened: OpenedInput[] = [];
  const views: View[] = [];
  const paths: string[] = [];
  for (const input of inputs) {
    const files =
      input.kind === "files"
        ? input.files
        : await openPages({ task, channel, plan, input, stack, opened });
    views.push(viewOf(input, files));
    paths.push(...files.map((file) => file.path));
  }
  const output = stack.use(openMemoryFile(task.workDirectory));
  using session = await openSession({
    settings: task.settings,
    paths: [...paths, output.path],
  });
  for (const { name, select } of views)
    await executeSafely(session.connection, `CREATE VIEW ${quoteName(name)} AS ${select}`);
  await session.lock();
  await channel.progress({ step: "compute", done: 0, total: 1 });
  const schema = await describeQuery(session.connection, plan.sql);
  const base = { engineVersion: `DuckDB ${engineVersion()}`, opened, schema };
  if (task.output.kind === "rows") {
    const preview = await runPreview(session.connection, plan.sql, task.output.limit);
    return { ...base, rows: preview.length, sealed: null, preview };
  }
  await executeSafely(
    session.connection,
    `COPY (${plan.sql}\n) TO ${quoteLiteral(output.path)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`,
  );
  const keyMetadata = fromBase64Url(task.output.keyMetadata);
  const { rows, sealed } = await sealResult(output, { channel, keyMetadata });
  return { ...base, rows, sealed, preview: null };
}

/** Plans over empty tables with the job's columns: nothing but footers was opened so far. */
async function planTask(task: WorkerTask, inputs: readonly OpenInput[]): Promise<Plan> {
  using stack = new DisposableStack();
  const samples = inputs.map((input) => sampleOf(task, input, stack));
  const paths = samples.map((sample) => sample.path);
  using session = await openSession({ settings: task.settings, paths });
  const { connection } = session;
  const types = new Map<string, ReadonlyMap<string, string>>();
  for (const [index, input] of inputs.entries()) {
    const sample = samples[index];
    if (sample === undefined) continue;
    const { name } = input.input;
    const { select } = viewOf(input, [sample]);
    await executeSafely(connection, `CREATE TABLE ${quoteName(name)} AS ${select} LIMIT 0`);
    types.set(
      name,
      new Map(
        (await describeQuery(connection, `SELECT * FROM ${quoteName(name)}`)).map((column) => [
          column.name,
          column.type,
        ]),
      ),
    );
  }
  await connection.run("SET enable_external_access=false");
  const sql = await singleSelect(connection, task.sql);
  const tables = inputs.map(({ input }) => ({
    name: input.name,
    columns: [...(types.get(input.name)?.keys() ?? [])],
  }));
  const uses = await planQuery({ connection, sql, tables });
  const rowGroups = new Map<OpenTableFile, ReadonlySet<number>>();
  for (const [index, input] of inputs.entries()) {
    if (input.kind !== "tables") continue;
    const use = uses.get(input.input.name);
    for (const [at, file] of input.files.entries()) {
      const count = file.footer.rowGroups.length;
      // Only the first file's statistics are in the session; others are opened whole.
      const path = at === 0 ? samples[index]?.path : undefined;
      const all = new Set(Array.from({ length: count }, (_, group) => group));
      rowGroups.set(
        file,
        use === undefined || path === undefined
          ? all
          : await neededRowGroups({
              connection,
              path,
              count,
              use,
              types: types.get(input.input.name) ?? new Map(),
            }),
      );
    }
  }
  return { sql, uses, rowGroups };
}

/** A file that shows an input's columns to the engine without its pages. */
function sampleOf(task: WorkerTask, input: OpenInput, stack: DisposableStack): MemoryFile {
  const [first] = input.files;
  if (first === undefined) throw new PpmlError("base.internal", `${input.input.name} has no file`);
  if (!("footer" in first)) return first;
  const skeleton = stack.use(openMemoryFile(task.workDirectory));
  skeleton.append(encodeSkeleton(first.footer));
  return skeleton;
}

/** Decrypts what the plan needs of an input's tables into memory files. */
async function openPages(options: {
  readonly task: WorkerTask;
  readonly channel: WorkerChannel;
  readonly plan: Plan;
  readonly input: Extract<OpenInput, { kind: "tables" }>;
  readonly stack: DisposableStack;
  readonly opened: OpenedInput[];
}): Promise<readonly MemoryFile[]> {
  const { task, channel, plan, input } = options;
  const columns = [...(plan.uses.get(input.input.name)?.columns ?? [])];
  const files: MemoryFile[] = [];
  let rowGroups = 0;
  let rowGroupsOpened = 0;
  for (const [at, file] of input.files.entries()) {
    const memory = options.stack.use(openMemoryFile(task.workDirectory));
    const needed = [...(plan.rowGroups.get(file) ?? [])];
    await decryptTable({
      ...file,
      columns,
      rowGroups: needed,
      unauthenticated: "refuse",
      write: (bytes) => {
        memory.append(bytes);
      },
    });
    rowGroups += file.footer.rowGroups.length;
    rowGroupsOpened += needed.length;
    files.push(memory);
    await channel.progress({ step: "open", done: at + 1, total: input.files.length });
  }
  const bytesOpened = files.reduce((sum, file) => sum + file.size(), 0);
  const { name } = input.input;
  options.opened.push({ name, columns, rowGroups, rowGroupsOpened, bytesOpened });
  return files;
}

/** The job's columns of an input, and no others. */
function viewOf(input: OpenInput, files: readonly MemoryFile[]): View {
  const { name, columns } = input.input;
  const list = files.map((file) => quoteLiteral(file.path)).join(", ");
  const reader =
    input.kind === "tables" ? "read_parquet" : readerOf(input.input.files[0]?.name ?? "");
  const what = columns === null ? "*" : columns.map((column) => quoteName(column)).join(", ");
  return { name, select: `SELECT ${what} FROM ${reader}([${list}])` };
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
