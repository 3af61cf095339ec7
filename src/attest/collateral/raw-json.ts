import { PpmlError } from "../../base/index.ts";

/**
 * The exact text of a member's value in a JSON object, as signatures over JSON need it. `text` is
 * checked to be one JSON object with that member once.
 * @throws attest.invalid
 * @see RFC 8259 sections 2, 4, 7
 */
export function rawJsonMember(text: string, name: string): string {
  requireObject(text);
  const found: string[] = [];
  // The text is valid JSON: what follows only has to find where a value at the top level ends.
  let at = skipSpace(text, text.indexOf("{") + 1);
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at);
    const key: unknown = JSON.parse(text.slice(at, keyEnd));
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = endOfValue(text, start);
    if (key === name) found.push(text.slice(start, end).trimEnd());
    at = skipSpace(text, end + 1);
  }
  const [raw, ...more] = found;
  if (raw === undefined || more.length > 0)
    throw new PpmlError(
      "attest.invalid",
      `expected a JSON object with the member ${name} once, got it ${found.length} times`,
    );
  return raw;
}

function requireObject(text: string): void {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PpmlError("attest.invalid", "expected a JSON object, got no JSON", { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new PpmlError("attest.invalid", "expected a JSON object, got another JSON value");
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (/[ \t\n\r]/.test(text[at] ?? "")) at += 1;
  return at;
}

/** Behind the closing quote of the string that begins at `from`. */
function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

/** At the comma or brace of the object that ends the value which begins at `from`. */
function endOfValue(text: string, from: number): number {
  let depth = 0;
  let at = from;
  for (;;) {
    const char = text[at];
    if (char === '"') {
      at = endOfString(text, at);
      continue;
    }
    if (depth === 0 && (char === "," || char === "}")) return at;
    if (char === "{" || char === "[") depth += 1;
    if (char === "}" || char === "]") depth -= 1;
    at += 1;
  }
}
