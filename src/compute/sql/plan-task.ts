import type { DuckDBConnection } from "@duckdb/node-api";
import { schemaOf } from "./execute.ts";
import type { OpenTableFile } from "./open-inputs.ts";
import type { ColumnTypes, Place } from "./places.ts";
import { filtersOf, listPasses, optimizeColumnsOnly, optimizeFilters, usesOf } from "./plan.ts";
import type { PlanTable, TableUse } from "./plan.ts";
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
  readonly connection: DuckDBConnection;
  readonly places: readonly Place[];
  readonly types: ColumnTypes;
  readonly tables: readonly PlanTable[];
};

/**
 * Plans all queries over empty tables: nothing but footers was opened so far. A row group or column
 * is left out only where no query needs it.
 * @throws compute.sql, compute.not_a_query
 */
export async function planTask(
  connection: DuckDBConnection,
  what: Pick<Planning, "places" | "types"> & { readonly queries: WorkerTask["queries"] },
): Promise<TaskPlan> {
  const passes = await listPasses(connection);
  const tables = what.places.map(({ input: { input } }) => ({
    name: input.name,
    columns: [...(what.types.get(input.name)?.keys() ?? [])],
  }));
  const planning = { ...what, connection, tables };
  await optimizeColumnsOnly(connection, passes);
  const bound: BoundQuery[] = [];
  for (const [at, { name, sql }] of what.queries.entries())
    bound.push({ name, ...(await queryOf(what.queries, at).run(() => bind(planning, sql))) });
  await optimizeFilters(connection, passes);
  const rowGroups = new RowGroupsToOpen();
  for (const [at, query] of bound.entries())
    await queryOf(what.queries, at).run(() => addRowGroups(planning, query, rowGroups));
  await connection.run("RESET disabled_optimizers");
  const columns = new Map<string, Set<string>>();
  for (const { uses } of bound)
    for (const [input, use] of uses) addAll(columns, input, use.columns);
  return {
    queries: bound.map(({ name, sql, inputs, schema }) => ({ name, sql, inputs, schema })),
    opening: {
      columns: new Map([...columns].map(([input, names]) => [input, [...names]])),
      rowGroups: rowGroups.ascending(),
    },
  };
}

type BoundQuery = PlannedQuery & { readonly uses: ReadonlyMap<string, TableUse> };

async function bind(
  { connection, tables }: Planning,
  text: string,
): Promise<Omit<BoundQuery, "name">> {
  const select = await singleSelect(connection, text);
  const { sql } = select;
  // Here and not over the opened files, each of whose footers the engine would read once more.
  const schema = await schemaOf(connection, select);
  const uses = await usesOf(connection, sql, tables);
  return { sql, schema, uses, inputs: new Set([...uses.keys(), ...namedTables(connection, sql)]) };
}

/** Adds the row groups that a query needs; its filters are asked for only where that can matter. */
async function addRowGroups(
  { connection, places, types, tables }: Planning,
  query: BoundQuery,
  to: RowGroupsToOpen,
): Promise<void> {
  const open = places.flatMap(({ input }) => {
    const isRead = input.kind === "tables" && query.inputs.has(input.input.name);
    return isRead && !input.files.every((file) => to.hasAll(file)) ? [input] : [];
  });
  if (open.length === 0) return;
  const { sql, uses } = query;
  const filters = await filtersOf(connection, sql, { tables, uses });
  for (const { input, files } of open) {
    const needed = neededRowGroups({
      footers: files.map(({ footer }) => footer),
      scans: filters.get(input.name) ?? null,
      types: types.get(input.name) ?? new Map(),
    });
    for (const [at, file] of files.entries()) to.add(file, needed[at] ?? []);
  }
}

/** The row groups that the queries of a task need together. */
class RowGroupsToOpen {
  readonly #groups = new Map<OpenTableFile, Set<number>>();

  add(file: OpenTableFile, groups: Iterable<number>): void {
    addAll(this.#groups, file, groups);
  }

  hasAll(file: OpenTableFile): boolean {
    return this.#groups.get(file)?.size === file.footer.rowGroups.length;
  }

  ascending(): ReadonlyMap<OpenTableFile, readonly number[]> {
    const sorted = [...this.#groups].map(
      ([file, groups]) => [file, [...groups].sort((a, b) => a - b)] as const,
    );
    return new Map(sorted);
  }
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
