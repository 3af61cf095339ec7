import { PpmlError } from "../../base/error.ts";
import type { ChunkMeta } from "./file-metadata.ts";
import { LIMITS } from "./limits.ts";
import {
  GCM_OVERHEAD,
  MODULE,
  type ModuleAad,
  type ModulePlace,
  type Sealer,
  sealModule,
} from "./module-cipher.ts";
import { drain, type Output, position } from "./output.ts";
import { encodePageHeader, type PageHeader } from "./page-header.ts";
import type { PagePlaces } from "./page-index.ts";
import { type PlainPage, readPlainPage } from "./plain-pages.ts";
import { openWindow, type Scratch, type TableSource } from "./source-window.ts";
import { i64, list, struct, withFields } from "./thrift-writer.ts";
import {
  intOf,
  listField,
  structOf,
  THRIFT,
  type ThriftField,
  type ThriftStruct,
} from "./thrift.ts";

/** What all chunks of one file share while it is sealed. */
export type SealContext = {
  readonly source: TableSource;
  readonly scratch: Scratch;
  readonly aad: ModuleAad;
  readonly output: Output;
};

/** One column chunk to seal. */
export type ChunkToSeal = {
  readonly meta: ChunkMeta;
  readonly sealer: Sealer;
  readonly rowGroup: number;
  readonly column: number;
};

/** A sealed column chunk: its ColumnMetaData for the new places, and the places themselves. */
export type ChunkSealed = {
  readonly meta: ThriftField;
  readonly pages: PagePlaces;
  /** Bytes of all its pages, sealed. */
  readonly length: number;
};

/**
 * Seals the pages of a column chunk one by one, headers apart from bodies.
 * @throws format.invalid, format.too_large, format.unsupported
 */
export async function* sealChunk(
  context: SealContext,
  chunk: ChunkToSeal,
): AsyncGenerator<Uint8Array, ChunkSealed, void> {
  const { output } = context;
  const range = chunk.meta.pages;
  const end = range.offset + range.length;
  const window = openWindow(context.source, { end, scratch: context.scratch });
  const pages: PagePlaces = { offsets: [], sizes: [] };
  const start = position(output);
  let dictionary: number | null = null;
  for (let at = range.offset; at < end;) {
    const page = await readPlainPage(window, at);
    const { header } = page;
    const place = nextPlace({ chunk, header, pages, dictionary });
    const head = encodePageHeader(header, header.size + GCM_OVERHEAD);
    const size = head.byteLength + header.size + 2 * GCM_OVERHEAD;
    if (header.kind === "dictionary") dictionary = position(output);
    else {
      pages.offsets.push(position(output));
      pages.sizes.push(size);
    }
    sealPage(context, { page, head, place, sealer: chunk.sealer });
    if (output.full.length > 0) yield* drain(output);
    at = page.next;
  }
  const length = position(output) - start;
  return { meta: movedMeta(chunk.meta, { start, length, dictionary, pages }), pages, length };
}

function sealPage(
  context: SealContext,
  what: {
    readonly page: PlainPage;
    readonly head: Uint8Array;
    readonly place: ModulePlace;
    readonly sealer: Sealer;
  },
): void {
  const { output, aad } = context;
  const { place, sealer, page } = what;
  const isData = page.header.kind === "data";
  const headType = isData ? MODULE.dataPageHeader : MODULE.dictionaryPageHeader;
  sealModule(sealer, what.head, { output, aad: aad({ ...place, type: headType }) });
  const type = isData ? MODULE.dataPage : MODULE.dictionaryPage;
  sealModule(sealer, page.body, { output, aad: aad({ ...place, type }) });
}

// The AAD's page ordinal counts data pages; a dictionary page has none and can only come first.
function nextPlace(state: {
  readonly chunk: ChunkToSeal;
  readonly header: PageHeader;
  readonly pages: PagePlaces;
  readonly dictionary: number | null;
}): ModulePlace {
  const { rowGroup, column } = state.chunk;
  const page = state.pages.offsets.length;
  if (state.header.kind === "dictionary") {
    if (page > 0 || state.dictionary !== null)
      throw new PpmlError("format.invalid", "a dictionary page is not the first of its chunk");
    return { type: MODULE.dictionaryPage, rowGroup, column };
  }
  if (page >= LIMITS.ordinals)
    throw new PpmlError(
      "format.too_large",
      `a column chunk has over ${LIMITS.ordinals} data pages: write larger pages or smaller row groups`,
    );
  return { type: MODULE.dataPage, rowGroup, column, page };
}

function movedMeta(
  meta: ChunkMeta,
  to: {
    readonly start: number;
    readonly length: number;
    readonly dictionary: number | null;
    readonly pages: PagePlaces;
  },
): ThriftField {
  const fields = structOf(meta.raw);
  // A chunk of a dictionary alone: readers know the dictionary by a data offset behind it.
  const noData = to.start + (to.dictionary === null ? 0 : to.length);
  return struct(
    withFields(fields, [
      ...(to.dictionary === null ? plainEncodings(fields) : []),
      [7, i64(to.length)],
      [9, i64(to.pages.offsets[0] ?? noData)],
      [10, null],
      [11, to.dictionary === null ? null : i64(to.dictionary)],
      [14, null],
      [15, null],
    ]),
  );
}

// parquet-java takes the AAD of a chunk's first page from its encodings: a writer's dictionary
// encodings (2 and 8 of enum Encoding) without a dictionary page would lead it astray.
function plainEncodings(fields: ThriftStruct): readonly (readonly [number, ThriftField])[] {
  const encodings = listField(fields, 2, { of: THRIFT.i32, max: 1024 }) ?? [];
  const kept = encodings.filter((encoding) => ![2, 8].includes(intOf(encoding)));
  return kept.length === encodings.length ? [] : [[2, list(THRIFT.i32, kept)]];
}
