import { randomBytes as osRandomBytes } from "node:crypto";
import type { ByteSource } from "../../base/byte-source.ts";
import { sha256 } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import type { Secret } from "../../base/secret.ts";
import { planColumns } from "./column-plan.ts";
import { encodeFileEnd, MAGIC_ENCRYPTED } from "./file-crypto.ts";
import {
  type ByteRange,
  checkKeyMetadata,
  checkTotal,
  type ChunkEntry,
  type ChunkMeta,
  type FileMetadata,
  parseChunkMeta,
  readFileMetadata,
} from "./file-metadata.ts";
import { LIMITS } from "./limits.ts";
import {
  createSealer,
  importKey,
  moduleAad,
  nonceSource,
  type RandomBytes,
  type Sealer,
} from "./module-cipher.ts";
import { append, createOutput, finish, position } from "./output.ts";
import type { PagePlaces } from "./page-index.ts";
import { type SealContext, sealChunk } from "./seal-chunk.ts";
import { encodeSealedFooter, type SealedRowGroup } from "./seal-footer.ts";
import {
  type IndexedChunk,
  sealBloomFilter,
  sealColumnIndex,
  sealOffsetIndex,
} from "./seal-index.ts";
import { readSealedFooter } from "./sealed-footer.ts";
import { createScratch, type TableSource } from "./source-window.ts";
import type { ThriftField } from "./thrift.ts";

/** A DEK of 32 bytes, never used for another file, and what the file says of how to get it. */
export type TableKey = { readonly dek: Secret; readonly keyMetadata: Uint8Array };

/** What `sealParquet` takes. */
export type SealParquetOptions = {
  /** A plain Parquet file. */
  readonly source: TableSource;
  /** Seals the footer and every column that no group names. */
  readonly footerKey: TableKey;
  /** One entry a column group: top-level names or dotted paths, each covering all leaves below. */
  readonly columnKeys: readonly (TableKey & { readonly columns: readonly string[] })[];
  /** For tests with known answers only; the operating system's generator otherwise. */
  readonly randomBytes?: RandomBytes;
};

/** One column of a sealed table. */
export type SealedColumn = {
  /** Dotted path of the leaf. */
  readonly path: string;
  readonly type: string;
  /** The standard's name of its meaning, such as STRING or DECIMAL. */
  readonly logicalType: string | null;
  /** Index into `columnKeys`; null for the footer key. */
  readonly group: number | null;
};

/** What was sealed: what a manifest says of the file. */
export type SealedTable = {
  /** SHA-256 of the footer: FileCryptoMetaData and the encrypted FileMetaData. */
  readonly footerDigest: Uint8Array;
  /** Bytes of the footer, without its length and the magic after it. */
  readonly footerLength: number;
  /** Bytes of the whole file. */
  readonly length: number;
  readonly rows: number;
  readonly rowGroups: number;
  readonly columns: readonly SealedColumn[];
  /** 16 random bytes that are in every AAD of the file. */
  readonly fileUnique: Uint8Array;
};

/** A chunk on its way: its pages are written first, its indexes after all pages. */
type Chunk = {
  readonly entry: ChunkEntry;
  readonly source: ChunkMeta;
  readonly sealer: Sealer;
  readonly meta: ThriftField;
  readonly pages: PagePlaces;
  readonly length: number;
  columnIndex: ByteRange | null;
  offsetIndex: ByteRange | null;
  bloomFilter: ByteRange | null;
};

type Writer = {
  readonly context: SealContext;
  readonly metadata: FileMetadata;
  readonly dataEnd: number;
  readonly footer: Sealer;
  /** By leaf: the key of its group, or the footer's. */
  readonly sealers: readonly Sealer[];
};

/**
 * Seals a plain Parquet file as Parquet Modular Encryption: AES_GCM_V1, encrypted footer.
 * Yields the file's bytes in order, in chunks that the caller may keep; the last chunk is the
 * footer with its length and magic. Memory: two windows, the largest page, the footer.
 * @returns what was sealed.
 * @throws seal.input, seal.plan, format.invalid, format.too_large, format.unsupported
 * @see docs/format-table.md section "Writing"
 */
export async function* sealParquet(
  options: SealParquetOptions,
): AsyncGenerator<Uint8Array, SealedTable, void> {
  const { metadata, dataEnd } = await readPlainMetadata(options.source);
  const plan = planColumns(
    metadata.schema,
    options.columnKeys.map((group) => group.columns),
  );
  const fileUnique = new Uint8Array((options.randomBytes ?? osRandomBytes)(16));
  const writer = createWriter(options, { metadata, dataEnd, plan, fileUnique });
  const { output } = writer.context;
  append(output, MAGIC_ENCRYPTED);
  const groups: SealedRowGroup<Chunk>[] = [];
  for (const rowGroup of metadata.rowGroups.keys())
    groups.push(yield* sealRowGroup(writer, rowGroup));
  yield* sealIndexes(writer, groups);
  yield* finish(output);
  const footer = encodeSealedFooter(groups, {
    metadata,
    plan,
    columnKeyMetadata: options.columnKeys.map((group) => group.keyMetadata),
    crypto: { fileUnique, keyMetadata: options.footerKey.keyMetadata },
    seal: { ...writer, aad: writer.context.aad },
  });
  const end = encodeFileEnd(footer, MAGIC_ENCRYPTED);
  // Now: a consumer may give the memory of a chunk back as soon as it has it.
  const length = position(output) + end.byteLength;
  yield end;
  return {
    footerDigest: sha256(footer),
    footerLength: footer.byteLength,
    length,
    rows: metadata.rows,
    rowGroups: groups.length,
    columns: metadata.schema.leaves.map((leaf) => ({
      path: leaf.dotted,
      type: leaf.physicalType,
      logicalType: leaf.logicalType,
      group: plan[leaf.index] ?? null,
    })),
    fileUnique,
  };
}

async function readPlainMetadata(
  source: ByteSource,
): Promise<{ readonly metadata: FileMetadata; readonly dataEnd: number }> {
  const footer = await readSealedFooter(source);
  if (footer.kind !== "plaintext")
    throw new PpmlError(
      "seal.input",
      "expected a plain Parquet file, found an encrypted one: open it first",
    );
  const metadata = readFileMetadata(footer.fields);
  const dataEnd = footer.offset;
  for (const group of metadata.rowGroups)
    for (const { protection, leaf } of group.chunks)
      if (protection.kind !== "none")
        throw new PpmlError("seal.input", `column ${leaf.dotted} is encrypted already`);
  checkTotal(
    metadata.rowGroups.flatMap(({ chunks }) =>
      chunks.map((entry) => ({ entry, meta: sourceMeta(entry, dataEnd) })),
    ),
    dataEnd,
  );
  return { metadata, dataEnd };
}

function sourceMeta(entry: ChunkEntry, dataEnd: number): ChunkMeta {
  if (entry.meta === null)
    throw new PpmlError("seal.input", `column ${entry.leaf.dotted} has no metadata in clear`);
  return parseChunkMeta(entry.meta, { leaf: entry.leaf, dataEnd });
}

function createWriter(
  options: SealParquetOptions,
  table: {
    readonly metadata: FileMetadata;
    readonly dataEnd: number;
    readonly plan: readonly (number | null)[];
    readonly fileUnique: Uint8Array;
  },
): Writer {
  const nonces = nonceSource(options.randomBytes);
  const sealerOf = (key: TableKey): Sealer => {
    if (key.dek.byteLength !== 32)
      throw new PpmlError("format.invalid", "expected a DEK of 32 bytes: make a new one a file");
    checkKeyMetadata(key.keyMetadata);
    return createSealer(importKey(key.dek), nonces);
  };
  const footer = sealerOf(options.footerKey);
  const groups = options.columnKeys.map(sealerOf);
  return {
    metadata: table.metadata,
    dataEnd: table.dataEnd,
    footer,
    sealers: table.plan.map((group) => (group === null ? footer : (groups[group] ?? footer))),
    context: {
      source: options.source,
      aad: moduleAad(table.fileUnique),
      output: createOutput({ lends: false, expected: options.source.size }),
      scratch: createScratch(),
    },
  };
}

async function* sealRowGroup(
  writer: Writer,
  rowGroup: number,
): AsyncGenerator<Uint8Array, SealedRowGroup<Chunk>, void> {
  if (rowGroup >= LIMITS.ordinals)
    throw new PpmlError("format.too_large", `a table has over ${LIMITS.ordinals} row groups`);
  const { context, metadata, dataEnd } = writer;
  const offset = position(context.output);
  const chunks: Chunk[] = [];
  for (const entry of metadata.rowGroups[rowGroup]?.chunks ?? []) {
    const column = entry.leaf.index;
    const source = sourceMeta(entry, dataEnd);
    const sealer = writer.sealers[column] ?? writer.footer;
    const sealed = yield* sealChunk(context, { meta: source, sealer, rowGroup, column });
    const indexes = { columnIndex: null, offsetIndex: null, bloomFilter: null };
    chunks.push({ entry, source, sealer, ...sealed, ...indexes });
  }
  return { offset, length: position(context.output) - offset, chunks };
}

async function* sealIndexes(
  writer: Writer,
  groups: readonly SealedRowGroup<Chunk>[],
): AsyncGenerator<Uint8Array, void, void> {
  const { context } = writer;
  const each = (use: (chunk: Chunk, indexed: IndexedChunk) => AsyncGenerator<Uint8Array, void>) =>
    eachChunk(writer, groups, use);
  yield* each(async function* (chunk, indexed) {
    chunk.columnIndex = yield* sealColumnIndex(context, indexed);
  });
  yield* each(async function* (chunk, indexed) {
    chunk.offsetIndex = yield* sealOffsetIndex(context, indexed);
  });
  yield* each(async function* (chunk, indexed) {
    chunk.bloomFilter = yield* sealBloomFilter(context, indexed);
  });
}

async function* eachChunk(
  writer: Writer,
  groups: readonly SealedRowGroup<Chunk>[],
  use: (chunk: Chunk, indexed: IndexedChunk) => AsyncGenerator<Uint8Array, void>,
): AsyncGenerator<Uint8Array, void, void> {
  for (const [rowGroup, { chunks }] of groups.entries())
    for (const chunk of chunks)
      yield* use(chunk, {
        meta: chunk.source,
        sealer: chunk.sealer,
        pages: chunk.pages,
        rowGroup,
        column: chunk.entry.leaf.index,
        dataEnd: writer.dataEnd,
        columnIndex: chunk.entry.columnIndex,
        offsetIndex: chunk.entry.offsetIndex,
      });
}
