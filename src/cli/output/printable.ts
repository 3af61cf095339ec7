// C0 and C1 controls, DEL, and the characters that reorder or hide text (bidi, zero-width marks).
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;

/**
 * Makes text from outside (names, data, messages) safe to show in a terminal: controls become
 * visible escapes such as `\x1b`, so that no data can move the cursor or hide what is said.
 */
export function printable(text: string): string {
  return text.replace(UNSAFE, escapeCharacter);
}

/** As `printable`, but line feeds stay: for messages of several lines. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

function escapeCharacter(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  const code = character.codePointAt(0) ?? 0;
  return code <= 0xff
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}
