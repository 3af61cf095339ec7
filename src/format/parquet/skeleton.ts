import { concatBytes } from "../../base/bytes.ts";
import { MAGIC_PLAIN } from "./file-crypto.ts";
import {
  closedColumn,
  encodePlainEnd,
  NO_PAGE,
  NO_PAGE_OFFSET,
  plainColumn,
} from "./plain-footer.ts";
import type { TableChunk, TableFooter } from "./table-footer.ts";
import { structOf, type ThriftField } from "./thrift.ts";
import { i64, struct, withFields } from "./thrift-writer.ts";

/**
 * A plain Parquet file with the table's schema, row groups and accessible statistics, and no page:
 * engines bind and plan queries on it; reading any value of it fails.
 * @param options.rowGroups `none` gives a table without rows: enough to bind, and quickly parsed
 * @see docs/format-table.md section "Skeleton"
 */
export function encodeSkeleton(
  footer: TableFooter,
  options: { readonly rowGroups: "all" | "none" },
): Uint8Array {
  const shown = options.rowGroups === "all" ? footer.rowGroups : [];
  const groups = shown.map((group) => ({
    offset: NO_PAGE_OFFSET,
    length: NO_PAGE.byteLength,
    entry: group.entry,
    columns: group.chunks.map((chunk) => skeletonColumn(chunk, group.rows)),
  }));
  return concatBytes(MAGIC_PLAIN, NO_PAGE, encodePlainEnd(footer.metadata, groups));
}

function skeletonColumn(chunk: TableChunk, rows: number): ThriftField {
  if (chunk.meta === null) return closedColumn(chunk.entry.leaf, rows);
  const meta = withFields(structOf(chunk.meta.raw), [
    [9, i64(NO_PAGE_OFFSET)],
    ...[10, 11, 14, 15].map((id) => [id, null] as const),
  ]);
  const known = withFields(
    structOf(chunk.entry.raw),
    [4, 5, 6, 7].map((id) => [id, null] as const),
  );
  return plainColumn(known, struct(meta));
}
