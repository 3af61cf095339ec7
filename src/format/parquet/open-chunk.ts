import type { KeyObject } from "node:crypto";
import { PpmlError } from "../../base/error.ts";
import type { ByteRange, ChunkMeta } from "./file-metadata.ts";
import { LIMITS } from "./limits.ts";
import {
  CTR_OVERHEAD,
  MODULE,
  type ModuleAad,
  type ModulePlace,
  notAuthentic,
  openCtrPage,
  openModule,
  type PageCipher,
  readU32,
} from "./module-cipher.ts";
import { append, fits, type Output, position, release, reserve } from "./output.ts";
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
    const expected = at === offset && chunk.meta.hasDictionary ? "dictionary" : "data";
    if (expected === "data" && pages.offsets.length >= LIMITS.ordinals)
      throw new PpmlError("format.too_large", `a chunk has over ${LIMITS.ordinals} data pages`);
    const place = { chunk, expected, page: pages.offsets.length, at } as const;
    const page =
      chunk.key === null
        ? await readPlainPage(window, at)
        : await openPage(context, { window, key: chunk.key, place });
    // A dictionary page that plain metadata does not mention is legal, for old writers' sake.
    if (chunk.key !== null && page.header.kind !== expected)
      throw new PpmlError("format.invalid", "a page is of another kind than its chunk says");
    const head = encodePageHeader(page.header, page.body.byteLength);
    const size = head.byteLength + page.body.byteLength;
    if (!fits(output, size)) yield* reserve(output, size);
    if (page.header.kind === "dictionary") dictionary = position(output);
    else {
      pages.offsets.push(position(output));
      pages.sizes.push(size);
    }
    append(output, head);
    append(output, page.body);
    // A page in the clear is a view of the window, an opened one has memory of its own.
    if (chunk.key !== null) release(page.body);
    at = page.next;
  }
  return { range: { offset: start, length: position(output) - start }, pages, dictionary };
}

async function openPage(
  context: OpenContext,
  from: {
    readonly window: SourceWindow;
    readonly key: KeyObject;
    readonly place: {
      readonly chunk: ChunkToOpen;
      readonly expected: "data" | "dictionary";
      readonly page: number;
      readonly at: number;
    };
  },
): Promise<PlainPage> {
  const { window, key, place } = from;
  const isData = place.expected === "data";
  const base: ModulePlace = {
    type: isData ? MODULE.dataPageHeader : MODULE.dictionaryPageHeader,
    rowGroup: place.chunk.rowGroup,
    column: place.chunk.column,
    ...(isData ? { page: place.page } : {}),
  };
  const headModule = await readModule(window, { at: place.at, most: LIMITS.pageHeaderBytes });
  const head = openModule(key, headModule, context.aad(base));
  const { header, end } = parsePageHeader(head, { start: 0, end: head.byteLength });
  if (end !== head.byteLength)
    throw new PpmlError("format.invalid", "bytes follow a page header in its module");
  const bodyAt = place.at + headModule.byteLength;
  const module = await readModule(window, { at: bodyAt, most: header.size });
  if (module.byteLength !== header.size) throw notAuthentic();
  const type = isData ? MODULE.dataPage : MODULE.dictionaryPage;
  const body =
    context.pageCipher === "ctr"
      ? openCtrPage(key, module)
      : openModule(key, module, context.aad({ ...base, type }));
  return { header, body, next: bodyAt + module.byteLength };
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
