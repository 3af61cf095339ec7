import { DuckDBInstance, StatementType } from "@duckdb/node-api";
import type { DuckDBConnection, DuckDBExtractedStatements, DuckDBType } from "@duckdb/node-api";
import { PpmlError } from "../../base/index.ts";
import type { SqlSettings } from "../../format/job.ts";

/** A DuckDB in memory that sees the given paths and nothing else. */
export type Session = Disposable & {
  readonly connection: DuckDBConnection;
  /** Shuts every door: no files but the allowed ones, no settings, no extensions. */
  lock(): Promise<void>;
};

/** Half of the job's memory belongs to the engine, half to the opened columns. */
export function engineMemoryMiB(settings: SqlSettings): number {
  return Math.floor(settings.memoryMiB / 2);
}

/**
 * Opens a session; before `lock` views over `paths` can be made.
 * No temporary directory: DuckDB never spills to a disk.
 */
export async function openSession(options: {
  readonly settings: SqlSettings;
  readonly paths: readonly string[];
}): Promise<Session> {
  const instance = await DuckDBInstance.create(":memory:", {
    threads: String(options.settings.threads),
    memory_limit: `${engineMemoryMiB(options.settings)}MiB`,
    temp_directory: "",
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    allow_community_extensions: "false",
    allow_persistent_secrets: "false",
  });
  const connection = await instance.connect();
  const allowed = options.paths.map((path) => quoteLiteral(path)).join(",");
  await connection.run(`SET allowed_paths=[${allowed}]`);
  return {
    connection,
    lock: async () => {
      await connection.run("SET enable_external_access=false");
      await connection.run("SET lock_configuration=true");
    },
    [Symbol.dispose]: () => {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

/** One SELECT without a closing semicolon, and the columns of its result. */
export type Select = {
  readonly sql: string;
  readonly columns: readonly { readonly name: string; readonly type: DuckDBType }[];
};

/**
 * Checks that the code is exactly one SELECT statement, and binds it.
 * @throws compute.not_a_query, compute.sql with the parser's own message
 */
export async function singleSelect(connection: DuckDBConnection, code: string): Promise<Select> {
  const { text: sql, statements } = await oneStatement(connection, code);
  const prepared = await statements.prepare(0).catch((cause: unknown) => {
    throw new PpmlError("compute.sql", `the query does not bind: ${messageOf(cause)}`, { cause });
  });
  try {
    const type = prepared.statementType;
    if (type !== StatementType.SELECT)
      throw notSelect(`a statement of type ${StatementType[type]}`);
    const columns = Array.from({ length: prepared.columnCount }, (_, at) => ({
      name: prepared.columnName(at),
      type: prepared.columnType(at),
    }));
    return { sql, columns };
  } finally {
    prepared.destroySync();
  }
}

/**
 * Parses the code, which has to be one statement, and gives it without a closing semicolon.
 * @throws compute.not_a_query, compute.sql with the parser's own message
 */
export async function oneStatement(
  connection: DuckDBConnection,
  sql: string,
): Promise<{ readonly text: string; readonly statements: DuckDBExtractedStatements }> {
  const text = sql.trim().replace(/;\s*$/, "");
  const statements = await connection.extractStatements(text).catch((cause: unknown) => {
    // All that the binding says of a text without any statement.
    if (messageOf(cause) === "Error in native callback") throw notSelect("no statement");
    throw new PpmlError("compute.sql", `the query does not parse: ${messageOf(cause)}`, { cause });
  });
  if (statements.count !== 1) throw notSelect(`${statements.count} statements`);
  return { text, statements };
}

/** The error of code that is something else than one SELECT statement. */
export function notSelect(found: string): PpmlError {
  return new PpmlError(
    "compute.not_a_query",
    `expected exactly one SELECT statement, got ${found}: write one SELECT in each file of the job's code`,
  );
}

/** A double-quoted SQL identifier. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A single-quoted SQL string. */
export function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The first line of an error's message. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
