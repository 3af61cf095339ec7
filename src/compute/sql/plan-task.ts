import type { DuckDBConnection } from "@duckdb/node-api";
import { describeQuery } from "./execute.ts";
import type { OpenTableFile } from "./open-inputs.ts";
import type { ColumnTypes, Place } from "./places.ts";
import { listPasses, optimizeColumnsOnly, planQuery } from "./plan.ts";
import type { TableUse } from "./plan.ts";
import { queryOf } from "./query-error.ts";
import { neededRowGroups } from "./row-groups.ts";
import { singleSelect } from "./session.ts";
import type { QueryResult, WorkerTask } from "./task.ts";

/** What has to be opened of the inputs. */
export type Opening = {
  /** Columns by the input's name. */
  readonly columns: ReadonlyMap<string, readonly string[]>;
  /** The row groups of each table file, ascending. */
  readonly rowGroups: ReadonlyMap<OpenTableFile, readonly number[]>;
};

/** A query that was planned. */
export type PlannedQuery = {
  readonly name: string;
  /** One SELECT without a closing semicolon. */
  readonly sql: string;
  /** Names of the inputs that it reads, or only asks the columns of. */
  readonly inputs: ReadonlySet<string>;
  /** Names and types of its result's columns. */
  readonly schema: QueryResult["schema"];
};

/** A planned task: its queries, and what all of them need together. */
export type TaskPlan = { readonly queries: readonly PlannedQuery[]; readonly opening: Opening };

type Planning = {
  readonly places: readonly Place[];
  readonly types: ColumnTypes;
  readonly passes: readonly string[];
};

/**
 * Plans all queries over empty tables: nothing but footers was opened so far. A row group or column
 * is left out only where no query needs it.
 * @throws compute.sql, compute.not_a_query
 */
export async function planTask(
  connection: DuckDBConnection,
  what: Omit<Planning, "passes"> & { readonly queries: WorkerTask["queries"] },
): Promise<TaskPlan> {
  const planning = { ...what, passes: await listPasses(connection) };
  const queries: PlannedQuery[] = [];
  const columns = new Map<string, Set<string>>();
  const rowGroups = new Map<OpenTableFile, Set<number>>();
  for (const [at, { name, sql }] of what.queries.entries()) {
    const planned = await queryOf(what.queries, at).run(() => planOne(connection, sql, planning));
    queries.push({ ...planned.query, name });
    for (const [input, use] of planned.uses) addAll(columns, input, use.columns);
    for (const [file, needed] of planned.rowGroups) addAll(rowGroups, file, needed);
  }
  await connection.run("RESET disabled_optimizers");
  return {
    queries,
    opening: {
      columns: new Map([...columns].map(([input, names]) => [input, [...names]])),
      rowGroups: new Map(
        [...rowGroups].map(([file, groups]) => [file, [...groups].sort((a, b) => a - b)]),
      ),
    },
  };
}

type PlannedOne = {
  readonly query: Omit<PlannedQuery, "name">;
  readonly uses: ReadonlyMap<string, TableUse>;
  readonly rowGroups: ReadonlyMap<OpenTableFile, readonly number[]>;
};

async function planOne(
  connection: DuckDBConnection,
  text: string,
  { places, types, passes }: Planning,
): Promise<PlannedOne> {
  await optimizeColumnsOnly(connection, passes);
  const sql = await singleSelect(connection, text);
  // Here and not over the opened files, each of whose footers the engine would read once more.
  const schema = await describeQuery(connection, sql);
  const tables = places.map(({ input: { input } }) => ({
    name: input.name,
    columns: [...(types.get(input.name)?.keys() ?? [])],
  }));
  const uses = await planQuery({ connection, sql, tables, passes });
  const inputs = new Set([...uses.keys(), ...namedTables(connection, sql)]);
  const rowGroups = new Map<OpenTableFile, readonly number[]>();
  for (const { input } of places) {
    const { name } = input.input;
    if (input.kind !== "tables" || !inputs.has(name)) continue;
    const needed = neededRowGroups({
      footers: input.files.map(({ footer }) => footer),
      scans: uses.get(name)?.scans ?? null,
      types: types.get(name) ?? new Map(),
    });
    for (const [at, file] of input.files.entries()) rowGroups.set(file, needed[at] ?? []);
  }
  return { query: { sql, inputs, schema }, uses, rowGroups };
}

/** The tables that a query names, also where its plan has no scan of them. */
function namedTables(connection: DuckDBConnection, sql: string): readonly string[] {
  // The engine gives them as they are written, and does not tell letter case apart.
  return connection.getTableNames(sql, false).map((name) => name.toLowerCase());
}

function addAll<Key, Value>(to: Map<Key, Set<Value>>, key: Key, values: Iterable<Value>): void {
  const known = to.get(key) ?? new Set();
  for (const value of values) known.add(value);
  to.set(key, known);
}
