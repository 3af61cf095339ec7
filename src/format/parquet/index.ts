export { type DecryptedTable, decryptTable, type DecryptTableOptions } from "./decrypt-table.ts";
export type { TableAlgorithm, TableCrypto } from "./file-crypto.ts";
export {
  type DoubleWrappedMaterial,
  encodeKeyMaterial,
  type KeyMaterial,
  parseKeyMaterial,
  type SingleWrappedMaterial,
  toKeyMaterial,
  toWrappedLocalKey,
  unwrapDek,
  unwrapTableDek,
  wrapDek,
} from "./key-material.ts";
export {
  askForFooter,
  type AskForFooterOptions,
  openFooter,
  type OpenFooterOptions,
} from "./open-footer.ts";
export type { ColumnStatistics } from "./page-index.ts";
export { rewrapFooter, type RewrapFooterOptions, type RewrappedFooter } from "./rewrap-footer.ts";
export {
  type PhysicalType,
  type Schema,
  type SchemaLeaf,
  type SchemaNode,
  type TimeUnit,
  timeUnitOf,
} from "./schema.ts";
export { rawBytes } from "./thrift.ts";
export {
  type SealedColumn,
  type SealedTable,
  sealParquet,
  type SealParquetOptions,
  type TableKey,
} from "./seal-parquet.ts";
export { type PlainFooter, readSealedFooter, type SealedFooter } from "./sealed-footer.ts";
export { encodeSkeleton } from "./skeleton.ts";
export {
  chunkStatistics,
  type ColumnProtection,
  type KeyFor,
  type KeyPlace,
  type TableChunk,
  type TableColumn,
  type TableFooter,
  type TableRowGroup,
} from "./table-footer.ts";
