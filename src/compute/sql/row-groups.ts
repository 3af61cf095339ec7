import type { DuckDBConnection } from "@duckdb/node-api";
import type { TableUse } from "./plan.ts";
import type { Comparison } from "./scan-filter.ts";
import { quoteLiteral } from "./session.ts";

/**
 * Types whose statistics bound every value of a row group. Floats are left out (NaN is in no bound),
 * texts too (their bounds may be cut), and times with a zone (their text depends on a setting).
 */
const BOUNDED_TYPES =
  /^(?:U?(?:TINYINT|SMALLINT|INTEGER|BIGINT)|DATE|TIMESTAMP|DECIMAL\(\d+,\d+\))$/;

/**
 * The row groups of the skeleton at `path` that some scan may need; all of them where the plan or
 * the statistics do not tell.
 */
export async function neededRowGroups(options: {
  readonly connection: DuckDBConnection;
  readonly path: string;
  readonly count: number;
  readonly use: TableUse;
  /** Type of each column, as the engine names it. */
  readonly types: ReadonlyMap<string, string>;
}): Promise<ReadonlySet<number>> {
  const { connection, path, count, use, types } = options;
  const all = Array.from({ length: count }, (_, index) => index);
  if (use.scans === null) return new Set(all);
  const needed = new Set<number>();
  for (const scan of use.scans) {
    const conditions = scan.flatMap((comparison) => excludes(comparison, types));
    const excluded =
      conditions.length === 0
        ? new Set<number>()
        : await queryRowGroups(connection, { path, where: conditions.join(" OR ") });
    for (const index of all) if (!excluded.has(index)) needed.add(index);
  }
  return needed;
}

/** SQL over one column's statistics that is true where no value can meet the comparison. */
function excludes(comparison: Comparison, types: ReadonlyMap<string, string>): readonly string[] {
  const { column, operator, constant } = comparison;
  const type = types.get(column);
  if (type === undefined || !BOUNDED_TYPES.test(type)) return [];
  const low = `TRY_CAST(stats_min_value AS ${type}) > ${constant}`;
  const high = `TRY_CAST(stats_max_value AS ${type}) < ${constant}`;
  const lowOrEqual = `TRY_CAST(stats_min_value AS ${type}) >= ${constant}`;
  const highOrEqual = `TRY_CAST(stats_max_value AS ${type}) <= ${constant}`;
  const condition = {
    "=": `(${low} OR ${high})`,
    "<": lowOrEqual,
    "<=": low,
    ">": highOrEqual,
    ">=": high,
  }[operator];
  return [`(path_in_schema = ${quoteLiteral(column)} AND ${condition})`];
}

async function queryRowGroups(
  connection: DuckDBConnection,
  options: { readonly path: string; readonly where: string },
): Promise<Set<number>> {
  const rows = await connection.runAndReadAll(
    `SELECT DISTINCT row_group_id FROM parquet_metadata(${quoteLiteral(options.path)}) WHERE ${options.where}`,
  );
  return new Set(rows.getRows().map((row) => Number(row[0])));
}
