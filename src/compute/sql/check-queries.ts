import type { DuckDBConnection } from "@duckdb/node-api";
import { z } from "zod";
import { isPpmlError, PpmlError } from "../../base/index.ts";
import { queryOf } from "./query-error.ts";
import {
  messageOf,
  notSelect,
  oneStatement,
  openSession,
  quoteLiteral,
  singleSelect,
} from "./session.ts";

/** What the engine takes for itself; nothing is run. */
const SETTINGS = { memoryMiB: 256, timeoutSeconds: 60, threads: 1 };
/** What the engine says of a statement that it parsed and that is none. */
const ONLY_SELECT = "Only SELECT statements can be serialized";
const answerSchema = z.object({ error: z.boolean(), error_message: z.string().optional() });

/**
 * Checks queries as the worker will, as far as that goes without the tables that they read: what it
 * refuses here can never run. Nothing is executed, and no file is reached.
 * @throws compute.not_a_query, compute.sql with the parser's own message; of several queries the error
 * names the one
 */
export async function checkQueries(
  queries: readonly { readonly name: string; readonly text: string }[],
): Promise<void> {
  using session = await openSession({ settings: SETTINGS, paths: [] });
  await session.lock();
  for (const [at, { text }] of queries.entries())
    await queryOf(queries, at).run(() => checkQuery(session.connection, text));
}

async function checkQuery(connection: DuckDBConnection, sql: string): Promise<void> {
  const { text } = await oneStatement(connection, sql);
  try {
    await singleSelect(connection, text);
  } catch (error) {
    // Without its tables no query binds; whether it is a SELECT, the parser knows.
    if (!isPpmlError(error, "compute.sql")) throw error;
    if (!(await isSelect(connection, text))) throw notSelect("a statement of another kind");
  }
}

async function isSelect(connection: DuckDBConnection, text: string): Promise<boolean> {
  const asked = `SELECT json_serialize_sql(${quoteLiteral(text)})`;
  const rows = await connection.runAndReadAll(asked).catch((cause: unknown) => {
    throw new PpmlError("compute.sql", `the query does not parse: ${messageOf(cause)}`, { cause });
  });
  const answer: unknown = JSON.parse(String(rows.getRows()[0]?.[0]));
  const parsed = answerSchema.parse(answer);
  return !(parsed.error && parsed.error_message?.startsWith(ONLY_SELECT) === true);
}
