// The plain side of a job of several queries: one process, one session, each result written as
// Parquet as the worker writes it. Its argument is JSON, the PlainOrder of one-job.ts. It is no
// TypeScript and runs the compiled package, as the other side does: neither compiles while it runs.
const { session: module, settings, tables, queries } = JSON.parse(process.argv[2]);
const { openSession, quoteLiteral, quoteName } = await import(module);

const paths = [...tables.map(({ path }) => path), ...queries.map(({ output }) => output)];
using session = await openSession({ settings, paths });
const { connection } = session;
for (const { name, path } of tables)
  await connection.run(
    `CREATE VIEW ${quoteName(name)} AS SELECT * FROM read_parquet([${quoteLiteral(path)}])`,
  );
await session.lock();
for (const { sql, output } of queries)
  await connection.run(
    `COPY (${sql}\n) TO ${quoteLiteral(output)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`,
  );
