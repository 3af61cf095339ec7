import { executeSafely } from "../../src/compute/sql/execute.ts";
import { openSession, quoteLiteral, quoteName } from "../../src/compute/sql/session.ts";
import type { Session } from "../../src/compute/sql/session.ts";
import type { SqlSettings } from "../../src/format/job.ts";

/** A plain Parquet file as a table. */
export type PlainTable = { readonly name: string; readonly path: string };

/** Opens a worker's session with views over plain files, locked. @param options.outputs may be written */
export async function openPlain(options: {
  readonly settings: SqlSettings;
  readonly tables: readonly PlainTable[];
  readonly outputs: readonly string[];
}): Promise<Session> {
  const { settings, tables, outputs } = options;
  const paths = [...tables.map(({ path }) => path), ...outputs];
  const session = await openSession({ settings, paths });
  for (const { name, path } of tables)
    await executeSafely(
      session.connection,
      `CREATE VIEW ${quoteName(name)} AS SELECT * FROM read_parquet([${quoteLiteral(path)}])`,
    );
  await session.lock();
  return session;
}
