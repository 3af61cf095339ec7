import { isPpmlError } from "../../base/error.ts";
import { LIMITS } from "./limits.ts";
import { type PageHeader, parsePageHeader } from "./page-header.ts";
import { covers, load, slice, type SourceWindow } from "./source-window.ts";

/** A page in the clear; header and body are views of the window, valid until it loads again. */
export type PlainPage = {
  readonly header: PageHeader;
  readonly body: Uint8Array;
  /** Offset after the page. */
  readonly next: number;
};

/**
 * Reads the unencrypted page at offset `at` of the window's source, loading as needed.
 * @throws format.invalid, format.too_large, format.unsupported
 */
export async function readPlainPage(window: SourceWindow, at: number): Promise<PlainPage> {
  if (!covers(window, at, 1)) await load(window, at, 1);
  for (;;) {
    const start = at - window.start;
    const found = tryHeader(window, start);
    if ("header" in found) {
      const { header, end } = found;
      const bodyAt = window.start + end;
      const next = bodyAt + header.size;
      if (covers(window, bodyAt, header.size))
        return { header, body: slice(window, bodyAt, header.size), next };
      await load(window, at, next - at);
      continue;
    }
    // A header has no length before it: only more bytes tell whether it was cut.
    const loaded = window.bytes.length - start;
    const most = Math.min(window.end - at, LIMITS.pageHeaderBytes);
    if (loaded >= most) throw found.cut;
    await load(window, at, start === 0 ? Math.min(most, loaded * 2) : 1);
  }
}

function tryHeader(
  window: SourceWindow,
  start: number,
): ReturnType<typeof parsePageHeader> | { readonly cut: unknown } {
  try {
    return parsePageHeader(window.bytes, { start, end: window.bytes.length });
  } catch (error) {
    if (isPpmlError(error) && error.detail["truncated"] === true) return { cut: error };
    throw error;
  }
}
