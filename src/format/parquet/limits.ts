/**
 * Bounds on what is read: everything is bounded by the source's size too.
 * @see docs/format-table.md section "Limits"
 */
export const LIMITS = {
  /** Bytes of a footer, encrypted or plain. */
  footerBytes: 64 * 1024 * 1024,
  /** Bytes of one page, compressed and encrypted. */
  pageBytes: 1024 * 1024 * 1024,
  /** Bytes of one page header. */
  pageHeaderBytes: 16 * 1024 * 1024,
  /** Bytes of one column index, offset index or Bloom filter. */
  indexBytes: 128 * 1024 * 1024,
  /** Row groups, columns of a row group, data pages of a column chunk: ordinals are i16 in the AAD. */
  ordinals: 32_768,
  /** Elements of a schema, inner nodes included. */
  schemaElements: 131_072,
  /** Levels of a schema below its root. */
  schemaDepth: 100,
  /** Characters of all dotted leaf paths together. */
  schemaPathChars: 8 * 1024 * 1024,
  /** Bytes of one key metadata. */
  keyMetadataBytes: 64 * 1024,
  /** Bytes of an AAD prefix, and of a file's unique id. */
  aadBytes: 64 * 1024,
  /** Nested containers and structs in thrift bytes. */
  thriftDepth: 32,
} as const;
