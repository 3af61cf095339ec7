import type { DuckDBConnection } from "@duckdb/node-api";
import { PpmlError } from "../../base/index.ts";
import { parseScanFilter } from "./scan-filter.ts";
import type { Comparison } from "./scan-filter.ts";
import { messageOf, quoteName } from "./session.ts";

/** A table of the planning session: empty, with the job's columns. */
export type PlanTable = { readonly name: string; readonly columns: readonly string[] };

/** What a query reads of one table. */
export type TableUse = {
  readonly columns: ReadonlySet<string>;
  /** How often it is scanned. */
  readonly scans: number;
};

/**
 * One entry a scan of a table: comparisons that every row of that scan has to meet. Null where the
 * plan does not tell them for every scan: then all row groups are needed.
 */
export type ScanFilters = readonly (readonly Comparison[])[] | null;

type PlanNode = {
  readonly name: string;
  readonly children: readonly unknown[];
  readonly extra_info: Readonly<Record<string, unknown>>;
};

/** Passes that could drop or double a scan because the planning tables are empty. */
const DATA_DEPENDENT_PASSES = [
  "statistics_propagation",
  "empty_result_pullup",
  "late_materialization",
  "join_elimination",
  "window_self_join",
  "common_subplan",
  "row_group_pruner",
];

/**
 * Has the engine optimize nothing but which columns are read: the cheapest way to bind a query, and
 * what `usesOf` needs.
 * @param passes the engine's, as `listPasses` gives them
 */
export async function optimizeColumnsOnly(
  connection: DuckDBConnection,
  passes: readonly string[],
): Promise<void> {
  await disablePasses(
    connection,
    passes.filter((pass) => pass !== "unused_columns"),
  );
}

/** Has the engine push filters into its scans, as `filtersOf` needs it. */
export async function optimizeFilters(
  connection: DuckDBConnection,
  passes: readonly string[],
): Promise<void> {
  await disablePasses(
    connection,
    DATA_DEPENDENT_PASSES.filter((pass) => passes.includes(pass)),
  );
}

/**
 * Asks the engine which columns a query reads of which tables, over empty ones.
 * @throws compute.sql with the engine's message: no data was opened yet, so it quotes none
 */
export async function usesOf(
  connection: DuckDBConnection,
  sql: string,
  tables: readonly PlanTable[],
): Promise<ReadonlyMap<string, TableUse>> {
  const nodes = await explain(connection, sql);
  const uses = new Map<string, TableUse>();
  for (const table of tables) {
    const scans = nodes.filter((node) => isScanOf(node, table.name));
    if (scans.length === 0) continue;
    const columns = new Set(scans.flatMap((node) => projectedColumns(node, table)));
    uses.set(table.name, { columns, scans: scans.length });
  }
  return uses;
}

/**
 * Asks the engine for the simple filters of a query's scans, by table.
 * @param uses what `usesOf` gave for it
 * @throws compute.sql as `usesOf`
 */
export async function filtersOf(
  connection: DuckDBConnection,
  sql: string,
  of: {
    readonly tables: readonly PlanTable[];
    readonly uses: ReadonlyMap<string, TableUse>;
  },
): Promise<ReadonlyMap<string, ScanFilters>> {
  const nodes = await explain(connection, sql);
  const filters = new Map<string, ScanFilters>();
  for (const { name, columns } of of.tables) {
    const scans = nodes.filter((node) => isScanOf(node, name));
    const isWhole = scans.length === of.uses.get(name)?.scans;
    filters.set(name, isWhole ? scans.map((node) => scanFilters(node, columns)) : null);
  }
  return filters;
}

async function disablePasses(
  connection: DuckDBConnection,
  passes: readonly string[],
): Promise<void> {
  await connection.run(`SET disabled_optimizers='${passes.join(",")}'`);
}

/** Names of the passes of the engine's optimizer. */
export async function listPasses(connection: DuckDBConnection): Promise<string[]> {
  const rows = await connection.runAndReadAll("SELECT name FROM duckdb_optimizers()");
  return rows.getRows().map((row) => String(row[0]));
}

async function explain(connection: DuckDBConnection, sql: string): Promise<PlanNode[]> {
  const rows = await connection
    .runAndReadAll(`EXPLAIN (FORMAT json) ${sql}`)
    .catch((cause: unknown) => {
      throw new PpmlError("compute.sql", `the query does not bind: ${messageOf(cause)}`, { cause });
    });
  const text = rows.getRows()[0]?.[1];
  const plan: unknown = JSON.parse(String(text));
  if (!Array.isArray(plan)) throw notAPlan();
  return plan.flatMap((node) => flatten(node));
}

function flatten(node: unknown): PlanNode[] {
  if (!isPlanNode(node)) throw notAPlan();
  return [node, ...node.children.flatMap((child) => flatten(child))];
}

/** By hand: the worker starts without schemas. */
function isPlanNode(value: unknown): value is PlanNode {
  if (typeof value !== "object" || value === null) return false;
  const { name, children, extra_info: extra } = value as Record<string, unknown>;
  const isExtra = typeof extra === "object" && extra !== null && !Array.isArray(extra);
  return typeof name === "string" && Array.isArray(children) && isExtra;
}

function notAPlan(): PpmlError {
  return new PpmlError("base.internal", "the engine's plan is not of the form that it is known by");
}

/** The engine quotes a name that is one of its words ("tables", "order") or has a hyphen. */
function isScanOf(node: PlanNode, table: string): boolean {
  const found = node.extra_info["Table"];
  const names = [table, quoteName(table)].map((name) => `memory.main.${name}`);
  return node.name.trim() === "SEQ_SCAN" && names.some((name) => name === found);
}

/** The projected columns; all of them where the plan names one in a form that is not known. */
function projectedColumns(node: PlanNode, table: PlanTable): readonly string[] {
  const names = textList(node.extra_info["Projections"]).filter((name) => name !== "");
  const found = names.map((name) =>
    table.columns.find((column) => name === column || name.startsWith(`${column}.`)),
  );
  return found.every((column) => column !== undefined) ? found : table.columns;
}

function scanFilters(node: PlanNode, columns: readonly string[]): readonly Comparison[] {
  return textList(node.extra_info["Filters"]).flatMap((text) => parseScanFilter(text, columns));
}

function textList(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value.map(String) : [];
}
