import type { DuckDBConnection } from "@duckdb/node-api";
import { PpmlError } from "../../base/index.ts";
import { encodeSkeleton } from "../../format/parquet/skeleton.ts";
import { columnTypes, executeSafely } from "./execute.ts";
import { openMemoryFile } from "./memory-file.ts";
import type { MemoryFile } from "./memory-file.ts";
import { readerOf } from "./open-inputs.ts";
import type { OpenInput } from "./open-inputs.ts";
import { quoteLiteral, quoteName } from "./session.ts";
import type { WorkerTask } from "./task.ts";

/** An input with the files by which the engine reads it. */
export type Place = {
  readonly input: OpenInput;
  /** Shows the input's columns without its pages; the first file itself where it is no table. */
  readonly sample: MemoryFile;
  /** Of a table, to be filled when the query is planned. */
  readonly files: readonly MemoryFile[];
};

/** By input and column: the type as the engine names it. */
export type ColumnTypes = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Makes the memory files of all inputs: the engine has to know their paths before it plans. */
export function makePlaces(
  task: WorkerTask,
  inputs: readonly OpenInput[],
  stack: DisposableStack,
): readonly Place[] {
  const make = (): MemoryFile => stack.use(openMemoryFile(task.workDirectory));
  return inputs.map((input) => {
    if (input.kind === "files") return { input, sample: firstOf(input.files), files: input.files };
    const sample = make();
    sample.append(encodeSkeleton(firstOf(input.files).footer, { rowGroups: "none" }));
    return { input, sample, files: input.files.map(make) };
  });
}

/** The paths that the engine may read. */
export function pathsOf(places: readonly Place[]): readonly string[] {
  return places.flatMap(({ sample, files }) => [sample, ...files]).map(({ path }) => path);
}

/**
 * Makes an empty table of each input, with the job's columns. From here on the engine reads its own
 * files only.
 */
export async function showEmptyTables(
  connection: DuckDBConnection,
  places: readonly Place[],
): Promise<ColumnTypes> {
  const types = new Map<string, ReadonlyMap<string, string>>();
  for (const { input, sample } of places) {
    const { name } = input.input;
    const select = selectOf(input, [sample]);
    await executeSafely(connection, `CREATE TABLE ${quoteName(name)} AS ${select} LIMIT 0`);
    types.set(name, await columnTypes(connection, name));
  }
  await connection.run("SET enable_external_access=false");
  return types;
}

/** Takes the empty tables away: a query finds what was opened for it, or fails. */
export async function hideEmptyTables(
  connection: DuckDBConnection,
  places: readonly Place[],
): Promise<void> {
  for (const { input } of places)
    await executeSafely(connection, `DROP TABLE ${quoteName(input.input.name)}`);
}

/** Shows the engine views over opened files. */
export async function showOpened(
  connection: DuckDBConnection,
  places: readonly Place[],
): Promise<void> {
  for (const { input, files } of places)
    await executeSafely(
      connection,
      `CREATE VIEW ${quoteName(input.input.name)} AS ${selectOf(input, files)}`,
    );
}

/** Takes the views away and gives the memory of their files back. */
export async function hideOpened(
  connection: DuckDBConnection,
  places: readonly Place[],
): Promise<void> {
  for (const { input, files } of places) {
    await executeSafely(connection, `DROP VIEW ${quoteName(input.input.name)}`);
    for (const file of files) file.clear();
  }
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

function firstOf<File>(files: readonly File[]): File {
  const [first] = files;
  if (first === undefined) throw new PpmlError("base.internal", "an input has no file");
  return first;
}
