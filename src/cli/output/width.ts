const SEGMENTER = new Intl.Segmenter("en", { granularity: "grapheme" });
const ASCII = /^[\x20-\x7e]*$/;
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]+$/u;
const EMOJI = /\p{Emoji_Presentation}|\ufe0f/u;
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
/** Forms that Unicode made narrow, though their script is wide. */
const HALF_WIDTH = /^[\uff61-\uffdc\uffe8-\uffee]/u;

/** How many terminal columns `text` takes: wide East Asian characters and emoji count two. */
export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const { segment } of SEGMENTER.segment(text)) {
    if (ZERO_WIDTH.test(segment)) continue;
    const isWide = !HALF_WIDTH.test(segment) && (WIDE.test(segment) || EMOJI.test(segment));
    width += isWide ? 2 : 1;
  }
  return width;
}

/** Pads `text` with spaces to `width` terminal columns; longer text stays as it is. */
export function padDisplay(text: string, width: number, align: "left" | "right" = "left"): string {
  const space = " ".repeat(Math.max(0, width - displayWidth(text)));
  return align === "left" ? text + space : space + text;
}
