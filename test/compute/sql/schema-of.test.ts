import assert from "node:assert/strict";
import { test } from "node:test";
import { describeQuery, schemaOf } from "../../../src/compute/sql/execute.ts";
import { openSession, singleSelect } from "../../../src/compute/sql/session.ts";

const VALUES = [
  "true",
  ...["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"].map((type) => `1::${type}`),
  ...["UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"].map((type) => `1::${type}`),
  ...["FLOAT", "DOUBLE", "DECIMAL(38,10)", "BIGNUM"].map((type) => `1::${type}`),
  "1.5",
  "'a'",
  "'x'::BLOB",
  "'101'::BIT",
  "NULL",
  "uuid()",
  "'{}'::JSON",
  "'a'::ENUM('a', 'b''c')",
  "DATE '2001-01-01'",
  "TIME '10:00'",
  "'10:00:00+00'::TIMETZ",
  "now()",
  ...["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"].map((type) => `now()::${type}`),
  "INTERVAL 1 DAY",
  "[1, 2]",
  "[1, 2]::INTEGER[2]",
  "['{}'::JSON]",
  "{'a': 1, 'b c': [1.5]}",
  "MAP {'a': {'k': 1}}",
  "union_value(k := 1)",
];

test("a result's schema is what the engine's DESCRIBE says, for every type", async () => {
  using session = await openSession({
    settings: { memoryMiB: 256, timeoutSeconds: 60, threads: 1 },
    paths: [],
  });
  const { connection } = session;
  for (const query of [
    ...VALUES.map((value) => `SELECT ${value} AS v`),
    "SELECT 1 AS a, 2 AS a",
    "SELECT 1, 1 + 1",
    `SELECT 1 AS "q""x"`,
  ])
    assert.deepEqual(
      await schemaOf(connection, await singleSelect(connection, query)),
      await describeQuery(connection, query),
      query,
    );
});
