import { PpmlError } from "../../base/error.ts";
import { selectLeaves } from "./column-plan.ts";
import { MAGIC_PLAIN } from "./file-crypto.ts";
import type { ByteRange } from "./file-metadata.ts";
import { type ChunkOpened, type OpenContext, openChunkPages } from "./open-chunk.ts";
import {
  type IndexToOpen,
  openBloomFilter,
  openColumnIndex,
  openOffsetIndex,
} from "./open-index.ts";
import { append, createOutput, drain, finish, position } from "./output.ts";
import { closedColumn, encodePlainEnd, NO_PAGE, plainColumn } from "./plain-footer.ts";
import { placeFields } from "./seal-footer.ts";
import type { TableChunk, TableFooter, TableRowGroup } from "./table-footer.ts";
import { createScratch, type TableSource } from "./source-window.ts";
import { structOf, type ThriftField } from "./thrift.ts";
import { i64, struct, withFields } from "./thrift-writer.ts";

/** Which indexes of a column are opened with its pages. */
type Indexes = "keep" | "bloom" | "drop";

/** What `decryptTable` takes. */
export type DecryptTableOptions = {
  /** The file whose footer was opened. */
  readonly source: TableSource;
  readonly footer: TableFooter;
  /** Top-level names or dotted paths, each covering all leaves below; or all columns. */
  readonly columns: readonly string[] | "all";
  /** Indexes of row groups in ascending order; all, where left out. */
  readonly rowGroups?: readonly number[];
  /**
   * Other writers may leave columns in the clear, or encrypt pages with CTR: nothing authenticates
   * such pages. `refuse` is right wherever data must be trusted.
   */
  readonly unauthenticated: "refuse" | "accept";
  /** Page indexes and Bloom filters of the chosen columns, or the latter alone; kept where left out. */
  readonly indexes?: Indexes;
  /** Takes the plain file's bytes in order; they are valid until it returns, or what it returns resolves. */
  readonly write: (bytes: Uint8Array) => void | Promise<void>;
};

/** What `decryptTable` wrote. */
export type DecryptedTable = {
  readonly length: number;
  readonly rows: number;
  readonly rowGroups: number;
};

/** A chunk on its way: its pages are written first, its indexes after all pages. */
type Opened = ChunkOpened & { readonly chunk: TableChunk; readonly index: IndexToOpen };
type Column = { readonly opened: Opened | null; readonly closed: ThriftField | null };
type Group = ByteRange & { readonly from: TableRowGroup; readonly columns: readonly Column[] };

/**
 * Writes a plain Parquet file with the whole schema and the chosen columns of the chosen row
 * groups; reading any other column of it fails. Only the chosen columns are read from `source`.
 * On an error, what was written so far is no valid file: the caller drops it.
 * @throws open.no_key, open.not_authentic, open.plaintext, format.invalid, format.too_large
 * @see docs/format-table.md section "Reading"
 */
export async function decryptTable(options: DecryptTableOptions): Promise<DecryptedTable> {
  const table = openTable(options);
  for (;;) {
    const step = await table.next();
    if (step.done === true) return step.value;
    await options.write(step.value);
  }
}

async function* openTable(
  options: DecryptTableOptions,
): AsyncGenerator<Uint8Array, DecryptedTable, void> {
  const { footer } = options;
  const leaves = selectLeaves(footer.metadata.schema, options.columns);
  const chosen = chooseRowGroups(footer, options.rowGroups);
  for (const { chunks } of chosen) for (const leaf of leaves) checkReadable(options, chunks[leaf]);
  const output = createOutput({ lends: true, expected: options.source.size });
  const context: OpenContext = {
    source: options.source,
    scratch: createScratch(),
    aad: footer.aad,
    pageCipher: footer.sealed.crypto.algorithm === "AES_GCM_CTR_V1" ? "ctr" : "gcm",
    output,
  };
  append(output, MAGIC_PLAIN);
  append(output, NO_PAGE);
  const groups: Group[] = [];
  for (const from of chosen) groups.push(yield* openRowGroup(context, { from, leaves, footer }));
  const plain = [];
  for (const group of groups)
    plain.push({
      offset: group.offset,
      length: group.length,
      entry: group.from.entry,
      columns: yield* openColumns(context, { group, indexes: options.indexes ?? "keep" }),
    });
  yield* finish(output);
  const end = encodePlainEnd(footer.metadata, plain);
  yield end;
  const rows = chosen.reduce((sum, group) => sum + group.rows, 0);
  return { length: position(output) + end.byteLength, rows, rowGroups: groups.length };
}

function chooseRowGroups(
  footer: TableFooter,
  wanted: readonly number[] | undefined,
): readonly TableRowGroup[] {
  if (wanted === undefined) return footer.rowGroups;
  return wanted.map((index, place) => {
    const group = footer.rowGroups[index];
    if (group === undefined || (place > 0 && index <= (wanted[place - 1] ?? -1)))
      throw new PpmlError(
        "format.invalid",
        `expected ascending row groups below ${footer.rowGroups.length}, found ${index}`,
      );
    return group;
  });
}

function checkReadable(options: DecryptTableOptions, chunk: TableChunk | undefined): void {
  if (chunk === undefined) return;
  const { dotted } = chunk.entry.leaf;
  if (chunk.meta === null)
    throw new PpmlError(
      "open.no_key",
      `no key at hand opens column ${dotted}: ask for the KEK of its column group`,
      { detail: { column: dotted } },
    );
  const authenticated =
    chunk.key !== null && options.footer.sealed.crypto.algorithm === "AES_GCM_V1";
  if (!authenticated && options.unauthenticated === "refuse")
    throw new PpmlError(
      "open.plaintext",
      `column ${dotted} is stored ${chunk.key === null ? "in the clear" : "with CTR"}: nothing shows that it was not changed; seal the table again`,
      { detail: { column: dotted } },
    );
}

async function* openRowGroup(
  context: OpenContext,
  what: {
    readonly from: TableRowGroup;
    readonly leaves: ReadonlySet<number>;
    readonly footer: TableFooter;
  },
): AsyncGenerator<Uint8Array, Group, void> {
  const { from, leaves, footer } = what;
  const offset = position(context.output);
  const columns: Column[] = [];
  for (const chunk of from.chunks) {
    const { leaf } = chunk.entry;
    if (!leaves.has(leaf.index) || chunk.meta === null) {
      columns.push({ opened: null, closed: closedColumn(leaf, from.rows) });
      continue;
    }
    const index: IndexToOpen = {
      meta: chunk.meta,
      key: chunk.key,
      rowGroup: from.entry.ordinal,
      column: leaf.index,
      dataEnd: footer.sealed.offset,
    };
    const opened = yield* openChunkPages(context, index);
    columns.push({ opened: { ...opened, chunk, index }, closed: null });
  }
  return { offset, length: position(context.output) - offset, from, columns };
}

async function* openColumns(
  context: OpenContext,
  what: { readonly group: Group; readonly indexes: Indexes },
): AsyncGenerator<Uint8Array, ThriftField[], void> {
  const columns: ThriftField[] = [];
  for (const { opened, closed } of what.group.columns) {
    if (opened !== null) columns.push(yield* openColumn(context, { opened, ...what }));
    else if (closed !== null) columns.push(closed);
  }
  return columns;
}

async function* openColumn(
  context: OpenContext,
  what: { readonly opened: Opened; readonly indexes: Indexes },
): AsyncGenerator<Uint8Array, ThriftField, void> {
  const { opened, indexes } = what;
  const { chunk, index, pages, range, dictionary } = opened;
  const { columnIndex, offsetIndex } = chunk.entry;
  const keep = indexes === "keep";
  const column =
    keep && columnIndex !== null ? await openColumnIndex(context, index, columnIndex) : null;
  const offset =
    keep && offsetIndex !== null
      ? await openOffsetIndex(context, index, { range: offsetIndex, pages })
      : null;
  const bloom = indexes !== "drop" ? await openBloomFilter(context, index) : null;
  const noData = range.offset + (dictionary === null ? 0 : range.length);
  const meta = withFields(structOf(index.meta.raw), [
    [7, i64(range.length)],
    [9, i64(pages.offsets[0] ?? noData)],
    [10, null],
    [11, dictionary === null ? null : i64(dictionary)],
    ...placeFields(14, yield* emit(context, bloom)),
  ]);
  const known = withFields(structOf(chunk.entry.raw), [
    ...placeFields(4, yield* emit(context, offset)),
    ...placeFields(6, yield* emit(context, column)),
  ]);
  return plainColumn(known, struct(meta));
}

async function* emit(
  { output }: OpenContext,
  bytes: Uint8Array | null,
): AsyncGenerator<Uint8Array, ByteRange | null, void> {
  if (bytes === null) return null;
  const offset = position(output);
  append(output, bytes);
  yield* drain(output);
  return { offset, length: bytes.byteLength };
}
