import { DuckDBTypeId } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import { PpmlError } from "../../base/index.ts";
import { messageOf, quoteName } from "./session.ts";
import type { Select } from "./session.ts";

/** The first words of an engine error say its class; the rest may quote data. */
const ERROR_CLASS = /^([A-Z][A-Za-z-]*(?: [A-Z][A-Za-z-]*)* (?:Error|Exception))\b/;

/** Limits that the engine reports as other errors: a string or list that does not fit in memory. */
const OUT_OF_MEMORY = /out of memory|failed to allocate|could not allocate|bad allocation/i;

/**
 * Runs a statement over opened data. The engine's message stays inside: it may quote a value
 * ("Could not convert string '...'"), and whoever reads errors may not read the data.
 * @throws compute.sql with the error's class only, compute.memory
 */
export async function executeSafely(connection: DuckDBConnection, sql: string): Promise<void> {
  await guarded(() => connection.run(sql));
}

/** The engine's binding spells these in another way than the engine itself. */
const NESTED: ReadonlySet<DuckDBTypeId> = new Set([
  DuckDBTypeId.ARRAY,
  DuckDBTypeId.LIST,
  DuckDBTypeId.MAP,
  DuckDBTypeId.STRUCT,
  DuckDBTypeId.UNION,
]);

/** Names and types of a bound query's columns, as the engine's DESCRIBE gives them. */
export async function schemaOf(
  connection: DuckDBConnection,
  { sql, columns }: Select,
): Promise<{ readonly name: string; readonly type: string }[]> {
  if (columns.some(({ type }) => NESTED.has(type.typeId)))
    return await describeQuery(connection, sql);
  return columns.map(({ name, type }) => ({ name, type: type.alias ?? String(type) }));
}

/** Names and types of the query's columns, without running it. */
export async function describeQuery(
  connection: DuckDBConnection,
  sql: string,
): Promise<{ readonly name: string; readonly type: string }[]> {
  const reader = await guarded(() => connection.runAndReadAll(`DESCRIBE ${sql}`));
  return reader.getRows().map((row) => ({ name: String(row[0]), type: String(row[1]) }));
}

/** The columns of a table without rows, in order, with the engine's names of their types. */
export async function columnTypes(
  connection: DuckDBConnection,
  table: string,
): Promise<ReadonlyMap<string, string>> {
  const reader = await guarded(() => connection.runAndReadAll(`FROM ${quoteName(table)}`));
  const types = reader.columnTypes().map(String);
  return new Map(reader.columnNames().map((name, index) => [name, types[index] ?? ""]));
}

/** At most `limit` rows as text, null for NULL: for the owner's own eyes. */
export async function runPreview(
  connection: DuckDBConnection,
  sql: string,
  limit: number,
): Promise<(string | null)[][]> {
  const reader = await guarded(() =>
    connection.runAndReadAll(`SELECT * FROM (${sql}\n) LIMIT ${limit}`),
  );
  return reader.getRowsJson().map((row) => row.map((value) => textOf(value)));
}

async function guarded<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const message = messageOf(error);
    const kind = ERROR_CLASS.exec(message)?.[1] ?? "Error";
    if (kind.startsWith("Out of Memory") || OUT_OF_MEMORY.test(message))
      throw new PpmlError(
        "compute.memory",
        "the query needs more memory than half of the job's limit: raise memoryMiB, or make the query smaller",
      );
    throw new PpmlError(
      "compute.sql",
      `the engine stopped with "${kind}" while it ran the query; its message is withheld, for it may quote data: ` +
        "run the query on data of your own to see it",
      { detail: { engineError: kind } },
    );
  }
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  return JSON.stringify(value);
}
