import { PpmlError } from "../../base/index.ts";
import { parseJson } from "../../format/jcs.ts";

/** One string or one sign of structure; in valid JSON nothing else can hold these characters. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g;

/**
 * Parses JSON bytes in which no object has two members of one name, and none is named `__proto__`:
 * readers differ in which of two they take, so that one could verify what another does not read.
 * At most 64 levels; the caller bounds the length.
 * @throws attest.invalid
 * @see RFC 7515 section 4, RFC 7519 section 4: duplicate names may be refused, and are here
 */
export function parseUniqueJson(bytes: Uint8Array, what: string): unknown {
  let value: unknown;
  try {
    value = parseJson(bytes, what);
  } catch (cause) {
    const message = cause instanceof PpmlError ? cause.message : `${what} is not valid JSON`;
    throw new PpmlError("attest.invalid", message, { cause });
  }
  refuseDuplicates(new TextDecoder().decode(bytes), what);
  return value;
}

/** Walks text that is known to be valid JSON: one set of names for each open object. */
function refuseDuplicates(text: string, what: string): void {
  const open: (Set<string> | null)[] = [];
  let last = "";
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(null);
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":") addName(open.at(-1), last, what);
    last = token;
  }
}

function addName(names: Set<string> | null | undefined, token: string, what: string): void {
  const name = String(JSON.parse(token));
  if (names?.has(name) === true || name === "__proto__")
    throw new PpmlError(
      "attest.invalid",
      `${what} has the member "${name.slice(0, 60)}" ${name === "__proto__" ? "which is not allowed" : "twice in one object"}`,
    );
  names?.add(name);
}
