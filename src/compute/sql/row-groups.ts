import { equalBytes } from "../../base/index.ts";
import { timeUnitOf } from "../../format/parquet/schema.ts";
import { chunkStatistics } from "../../format/parquet/table-footer.ts";
import type { TableChunk, TableFooter } from "../../format/parquet/table-footer.ts";
import { rawBytes } from "../../format/parquet/thrift.ts";
import type { ScanFilters } from "./plan.ts";
import { compareQuantities, decodeBound, measureOf, parseConstant } from "./quantity.ts";
import type { Quantity } from "./quantity.ts";
import type { Comparison } from "./scan-filter.ts";

/** A comparison whose column has statistics that bound all its values. */
type Condition = {
  readonly operator: Comparison["operator"];
  readonly constant: Quantity;
  readonly type: string;
  /** Place of its column in the table's files. */
  readonly leaf: number;
};

/**
 * The row groups of each file that some scan may need, in order; all of them where the plan or the
 * statistics do not tell.
 * @param options.footers of an input's files, all with the same columns
 * @param options.scans null where the plan does not tell the comparisons of each scan
 * @param options.types type of each column, as the engine names it
 */
export function neededRowGroups(options: {
  readonly footers: readonly TableFooter[];
  readonly scans: ScanFilters;
  readonly types: ReadonlyMap<string, string>;
}): readonly (readonly number[])[] {
  const { footers, scans, types } = options;
  const [first] = footers;
  if (scans === null || first === undefined) return footers.map(allRowGroups);
  const byScan = scans.map((scan) =>
    scan.flatMap((comparison) => conditionOf(comparison, { footer: first, types })),
  );
  return footers.map((footer) => {
    const known = byScan.map((conditions) =>
      conditions.filter(({ leaf }) => isSameColumn(first, footer, leaf)),
    );
    return allRowGroups(footer).filter((group) =>
      known.some((conditions) => !conditions.some((one) => excludes(one, { footer, group }))),
    );
  });
}

function allRowGroups({ rowGroups }: TableFooter): number[] {
  return [...rowGroups.keys()];
}

function conditionOf(
  { column, operator, constant: text }: Comparison,
  of: { readonly footer: TableFooter; readonly types: ReadonlyMap<string, string> },
): readonly Condition[] {
  const type = of.types.get(column);
  const measure = type === undefined ? null : measureOf(type);
  const constant = measure === null ? null : parseConstant(text, measure);
  // A dot may be part of a name: only a top-level column is what the plan names.
  const found = of.footer.columns.find(
    ({ leaf: { path } }) => path.length === 1 && path[0] === column,
  );
  if (type === undefined || constant === null || found === undefined) return [];
  return [{ operator, constant, type, leaf: found.leaf.index }];
}

/** Where a file stores a column in another way, the engine's type says nothing of its statistics. */
function isSameColumn(first: TableFooter, other: TableFooter, leaf: number): boolean {
  const [a, b] = [first, other].map(({ columns }) => columns[leaf]?.leaf.raw);
  return a !== undefined && b !== undefined && equalBytes(rawBytes(a), rawBytes(b));
}

/** True where no value of the row group can meet the condition. */
function excludes(
  condition: Condition,
  at: { readonly footer: TableFooter; readonly group: number },
): boolean {
  const chunk = at.footer.rowGroups[at.group]?.chunks[condition.leaf];
  const bounds = chunk === undefined ? null : boundsOf(chunk, condition.type);
  if (bounds === null) return false;
  const low = compareQuantities(bounds.min, condition.constant);
  const high = compareQuantities(bounds.max, condition.constant);
  return {
    "=": low > 0 || high < 0,
    "<": low >= 0,
    "<=": low > 0,
    ">": high <= 0,
    ">=": high < 0,
  }[condition.operator];
}

function boundsOf(
  chunk: TableChunk,
  type: string,
): { readonly min: Quantity; readonly max: Quantity } | null {
  const statistics = chunkStatistics(chunk);
  const { leaf } = chunk.entry;
  const column = { type, physicalType: leaf.physicalType, unit: timeUnitOf(leaf) };
  const [min, max] = [statistics?.min, statistics?.max].map((bytes) =>
    bytes === null || bytes === undefined ? null : decodeBound(bytes, column),
  );
  if (min === undefined || min === null || max === undefined || max === null) return null;
  return { min, max };
}
