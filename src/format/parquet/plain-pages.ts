import { isPpmlError } from "../../base/error.ts";
import { LIMITS } from "./limits.ts";
import { type PageHeader, parsePageHeader } from "./page-header.ts";
import { covers, load, type SourceWindow } from "./source-window.ts";

/**
 * Reads the unencrypted page header at offset `at` of the window's source, loading as needed.
 * @returns the header and the offset of the page's body.
 * @throws format.invalid, format.too_large, format.unsupported
 */
export async function readPlainPageHeader(
  window: SourceWindow,
  at: number,
): Promise<{ readonly header: PageHeader; readonly bodyAt: number }> {
  if (!covers(window, at, 1)) await load(window, at, 1);
  for (;;) {
    const start = at - window.start;
    try {
      const { header, end } = parsePageHeader(window.bytes, { start, end: window.bytes.length });
      return { header, bodyAt: window.start + end };
    } catch (error) {
      // A header has no length before it: only more bytes tell whether it was cut.
      const loaded = window.bytes.length - start;
      const most = Math.min(window.end - at, LIMITS.pageHeaderBytes);
      if (!isPpmlError(error) || error.detail["truncated"] !== true || loaded >= most) throw error;
      await load(window, at, start === 0 ? Math.min(most, loaded * 2) : 1);
    }
  }
}
