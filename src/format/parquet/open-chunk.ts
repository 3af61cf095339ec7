import type { KeyObject } from "node:crypto";
import { PpmlError } from "../../base/error.ts";
import type { ByteRange, ChunkMeta } from "./file-metadata.ts";
import { LIMITS } from "./limits.ts";
import {
  CTR_OVERHEAD,
  GCM_OVERHEAD,
  MODULE,
  type ModuleAad,
  type ModulePlace,
  notAuthentic,
  openModule,
  openPageModule,
  type PageCipher,
  readU32,
} from "./module-cipher.ts";
import { append, drain, type Output, position } from "./output.ts";
import { encodePageHeader, parsePageHeader } from "./page-header.ts";
import type { PagePlaces } from "./page-index.ts";
import { type PlainPage, readPlainPage } from "./plain-pages.ts";
import {
  covers,
  load,
  openWindow,
  type Scratch,
  slice,
  type SourceWindow,
  type TableSource,
} from "./source-window.ts";

/** What all chunks of one file share while it is opened. */
export type OpenContext = {
  readonly source: TableSource;
  readonly scratch: Scratch;
  readonly aad: ModuleAad;
  readonly pageCipher: PageCipher;
  readonly output: Output;
};

/** One column chunk to open; `key` is null where its pages are in the clear. */
export type ChunkToOpen = {
  readonly meta: ChunkMeta;
  readonly key: KeyObject | null;
  readonly rowGroup: number;
  readonly column: number;
};

/** An opened chunk: where it now stands. */
export type ChunkOpened = {
  readonly range: ByteRange;
  readonly pages: PagePlaces;
  /** Offset of the dictionary page; null where there is none. */
  readonly dictionary: number | null;
};

/**
 * Opens the pages of a column chunk one by one; nothing is given away before it is authenticated,
 * except CTR pages and pages in the clear, which nothing authenticates.
 * @throws open.not_authentic, format.invalid, format.too_large
 */
export async function* openChunkPages(
  context: OpenContext,
  chunk: ChunkToOpen,
): AsyncGenerator<Uint8Array, ChunkOpened, void> {
  const { output } = context;
  const { offset, length } = chunk.meta.pages;
  const window = openWindow(context.source, { end: offset + length, scratch: context.scratch });
  const pages: PagePlaces = { offsets: [], sizes: [] };
  const start = position(output);
  let dictionary: number | null = null;
  for (let at = offset; at < offset + length;) {
    const place = nextPlace(chunk, { first: at === offset, dataPages: pages.offsets.length });
    const page =
      chunk.key === null
        ? await readPlainPage(window, at)
        : await readSealedPage(context, { window, at, key: chunk.key, place });
    const pageStart = position(output);
    appendPage(context, page, { key: chunk.key, place });
    if (page.header.kind === "dictionary") dictionary = pageStart;
    else {
      pages.offsets.push(pageStart);
      pages.sizes.push(position(output) - pageStart);
    }
    if (output.full.length > 0) yield* drain(output);
    at = page.next;
  }
  return { range: { offset: start, length: position(output) - start }, pages, dictionary };
}

// The AAD's page ordinal counts data pages; only a chunk's first page may be a dictionary.
function nextPlace(
  chunk: ChunkToOpen,
  at: { readonly first: boolean; readonly dataPages: number },
): ModulePlace {
  const { rowGroup, column } = chunk;
  if (at.first && chunk.meta.hasDictionary)
    return { type: MODULE.dictionaryPage, rowGroup, column };
  if (at.dataPages >= LIMITS.ordinals)
    throw new PpmlError("format.too_large", `a chunk has over ${LIMITS.ordinals} data pages`);
  return { type: MODULE.dataPage, rowGroup, column, page: at.dataPages };
}

/** Opens the header of the page at `at`; its body stays sealed. */
async function readSealedPage(
  context: OpenContext,
  from: {
    readonly window: SourceWindow;
    readonly at: number;
    readonly key: KeyObject;
    readonly place: ModulePlace;
  },
): Promise<PlainPage> {
  const { window, at, place } = from;
  const isData = place.type === MODULE.dataPage;
  const type = isData ? MODULE.dataPageHeader : MODULE.dictionaryPageHeader;
  const module = await readModule(window, { at, most: LIMITS.pageHeaderBytes });
  const head = openModule(from.key, module, context.aad({ ...place, type }));
  const { header, end } = parsePageHeader(head, { start: 0, end: head.byteLength });
  if (end !== head.byteLength || header.kind !== (isData ? "data" : "dictionary"))
    throw new PpmlError("format.invalid", "a page header is not what its chunk says");
  const bodyAt = at + module.byteLength;
  const body = await readModule(window, { at: bodyAt, most: header.size });
  if (body.byteLength !== header.size) throw notAuthentic();
  return { header, body, next: bodyAt + body.byteLength };
}

function appendPage(
  context: OpenContext,
  { header, body }: PlainPage,
  how: { readonly key: KeyObject | null; readonly place: ModulePlace },
): void {
  const { output, pageCipher: cipher } = context;
  if (how.key === null) {
    append(output, encodePageHeader(header, body.byteLength));
    append(output, body);
    return;
  }
  const overhead = cipher === "ctr" ? CTR_OVERHEAD : GCM_OVERHEAD;
  if (body.byteLength < overhead) throw notAuthentic();
  append(output, encodePageHeader(header, body.byteLength - overhead));
  openPageModule({ key: how.key, cipher, aad: context.aad(how.place) }, body, output);
}

/** Loads the module at `at`, of `most` bytes at most; its length is not authenticated yet. */
async function readModule(
  window: SourceWindow,
  where: { readonly at: number; readonly most: number },
): Promise<Uint8Array> {
  const { at } = where;
  const most = Math.min(where.most, window.end - at);
  if (most < CTR_OVERHEAD) throw notAuthentic();
  if (!covers(window, at, 4)) await load(window, at, 4);
  const length = 4 + readU32(window.bytes, at - window.start);
  if (length > most) throw notAuthentic();
  if (!covers(window, at, length)) await load(window, at, length);
  return slice(window, at, length);
}
