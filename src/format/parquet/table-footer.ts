import type { KeyObject } from "node:crypto";
import type { Secret } from "../../base/secret.ts";
import type { SealedFooter } from "./sealed-footer.ts";
import type { ChunkEntry, ChunkMeta, FileMetadata, RowGroupEntry } from "./file-metadata.ts";
import type { ModuleAad } from "./module-cipher.ts";
import { type ColumnStatistics, parseStatistics } from "./page-index.ts";
import type { SchemaLeaf } from "./schema.ts";
import { structOf } from "./thrift.ts";

/** Which key a key metadata is for: the footer's, or that of the column of this dotted path. */
export type KeyPlace = "footer" | { readonly column: string };

/**
 * Gives the DEK that a key metadata names, or null where the caller does not have it.
 * The caller keeps owning the Secret and may dispose it once `openFooter` has returned.
 * Key metadata is null where the writer stored none. Of columns that share a key metadata each is
 * asked for until one is given.
 */
export type KeyFor = (keyMetadata: Uint8Array | null, place: KeyPlace) => Secret | null;

/** Which key a column is under; `none` means that its pages are in the clear. */
export type ColumnProtection = "footer-key" | "column-key" | "none";

/** One column (leaf) of an opened table, as its first row group has it. */
export type TableColumn = {
  readonly leaf: SchemaLeaf;
  readonly protection: ColumnProtection;
  /** Of the column's own key; null under the footer's key, or where the writer stored none. */
  readonly keyMetadata: Uint8Array | null;
  /** True where the keys at hand open it in every row group. */
  readonly accessible: boolean;
};

/** One column chunk of an opened table. */
export type TableChunk = {
  readonly entry: ChunkEntry;
  /** Null where no key at hand opens it. */
  readonly meta: ChunkMeta | null;
  /** Opens its modules; null where they are in the clear, or where no key at hand opens it. */
  readonly key: KeyObject | null;
};

/** One row group of an opened table; chunks are in the order of the columns. */
export type TableRowGroup = {
  readonly entry: RowGroupEntry;
  readonly rows: number;
  readonly chunks: readonly TableChunk[];
};

/** A footer that was opened with its key: everything in it is authenticated. */
export type TableFooter = {
  readonly sealed: SealedFooter;
  readonly metadata: FileMetadata;
  readonly rows: number;
  readonly columns: readonly TableColumn[];
  readonly rowGroups: readonly TableRowGroup[];
  readonly aad: ModuleAad;
};

/**
 * The statistics of a column chunk; null where there are none or no key opens them.
 * @throws format.invalid
 */
export function chunkStatistics(chunk: TableChunk): ColumnStatistics | null {
  return chunk.meta === null ? null : parseStatistics(structOf(chunk.meta.raw));
}
