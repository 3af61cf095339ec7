import { PpmlError, utf8 } from "../base/index.ts";

/** What a store's own files begin with; no object's name has a part that does. */
export const RESERVED_PREFIX = ".ppml-";

const MAX_NAME_BYTES = 1024;
// The longest file name of the usual file systems.
const MAX_PART_BYTES = 255;

/**
 * Splits an object's name into its parts: relative, '/'-separated, at most 1,024 bytes of UTF-8 and
 * 255 a part, no part empty, '.' or '..', no NUL or backslash, none beginning with ".ppml-".
 * @throws store.name
 */
export function parseStoreName(name: string): readonly string[] {
  if (!name.isWellFormed() || /[\0\\]/.test(name))
    throw nameError(name, "NUL, '\\' or lone surrogates");
  if (utf8(name).byteLength > MAX_NAME_BYTES)
    throw nameError(`${name.slice(0, 64)}…`, `more than ${MAX_NAME_BYTES} bytes`);
  const parts = name.split("/");
  for (const part of parts) {
    if (part === "") throw nameError(name, "an empty part");
    if (part === "." || part === "..") throw nameError(name, `a part '${part}'`);
    if (part.startsWith(RESERVED_PREFIX)) throw nameError(name, `a part of the store's own`);
    if (utf8(part).byteLength > MAX_PART_BYTES)
      throw nameError(name, `a part of more than ${MAX_PART_BYTES} bytes`);
  }
  return parts;
}

/** Compares names by their UTF-8 bytes, the order in which stores list. */
export function compareNames(a: string, b: string): number {
  return Buffer.compare(utf8(a), utf8(b));
}

function nameError(name: string, what: string): PpmlError {
  return new PpmlError(
    "store.name",
    `the name ${JSON.stringify(name)} has ${what}: use a relative name such as "2026/flights.csv"`,
    { detail: { name } },
  );
}
