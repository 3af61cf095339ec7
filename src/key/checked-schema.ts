import type { DatabaseSync } from "node:sqlite";

/** What an SQLite file of ours is marked with, and the statements that made its tables. */
export type DatabaseSchema = {
  readonly applicationId: number;
  readonly version: number;
  /** In the order of their names; each statement makes exactly that table. */
  readonly tables: readonly { readonly name: string; readonly sql: string }[];
};

/** Writes marks and tables into an empty file. Call it inside a transaction. */
export function createSchema(db: DatabaseSync, schema: DatabaseSchema): void {
  const { applicationId, version, tables } = schema;
  db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version};`);
  for (const table of tables) db.exec(table.sql);
}

/**
 * Tells how a file's marks or tables differ from the schema; null where they do not. A planted
 * trigger or view would run inside our own statements, hence the exact comparison of the text.
 */
export function schemaFault(db: DatabaseSync, schema: DatabaseSchema): string | null {
  const { applicationId, version, tables } = schema;
  const mark = db.prepare("PRAGMA application_id").get()?.["application_id"];
  if (mark !== applicationId) return "it lacks the application id";
  const found = db.prepare("PRAGMA user_version").get()?.["user_version"];
  if (found !== version) return `its schema version is ${String(found)}, known is ${version}`;
  const rows = db
    .prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY name LIMIT ?")
    .all(tables.length + 1);
  const asWritten =
    rows.length === tables.length &&
    tables.every(({ name, sql }, index) => {
      const row = rows[index];
      return row?.["type"] === "table" && row["name"] === name && row["sql"] === sql;
    });
  return asWritten ? null : "its tables are not as they were made";
}

/**
 * A number that differs, inside a transaction, where another connection committed since the last one.
 * @see https://sqlite.org/pragma.html#pragma_data_version
 */
export function dataVersionOf(db: DatabaseSync): number {
  return Number(db.prepare("PRAGMA data_version").get()?.["data_version"]);
}
