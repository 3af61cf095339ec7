import canonicalize from "canonicalize";
import { fromUtf8, PpmlError, utf8 } from "../base/index.ts";

const MAX_JSON_BYTES = 64 * 1024 * 1024;
const MAX_DEPTH = 64;

/**
 * Encodes a JSON value as JCS bytes.
 * @throws format.invalid for values that are not JSON (NaN, undefined at the top, lone surrogates)
 * @see RFC 8785
 */
export function encodeJcs(value: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = canonicalize(value);
  } catch (cause) {
    throw new PpmlError("format.invalid", "the value has no canonical JSON form", { cause });
  }
  if (text === undefined || !text.isWellFormed())
    throw new PpmlError("format.invalid", "the value has no canonical JSON form");
  return utf8(text);
}

/**
 * Parses JSON bytes of at most 64 MiB and 64 levels; the bytes need not be canonical.
 * @throws format.invalid, format.too_large
 */
export function parseJson(bytes: Uint8Array, what = "JSON"): unknown {
  if (bytes.byteLength > MAX_JSON_BYTES)
    throw new PpmlError("format.too_large", `${what} is larger than ${MAX_JSON_BYTES} bytes`);
  checkDepth(bytes, what);
  try {
    return JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw new PpmlError("format.invalid", `${what} is not valid JSON`, { cause });
  }
}

/**
 * Parses JSON that must be in JCS form: what was signed is then exactly what is read, so duplicate
 * members, other spellings and trailing bytes are refused.
 * @throws format.invalid, format.too_large
 * @see RFC 8785
 */
export function parseCanonicalJson(bytes: Uint8Array, what = "JSON"): unknown {
  const value = parseJson(bytes, what);
  if (!Buffer.from(encodeJcs(value)).equals(bytes))
    throw new PpmlError("format.invalid", `${what} is not in canonical form (RFC 8785)`);
  return value;
}

function checkDepth(bytes: Uint8Array, what: string): void {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i];
    if (inString) {
      if (byte === 0x5c) i += 1;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      if (depth > MAX_DEPTH)
        throw new PpmlError("format.too_large", `${what} nests deeper than ${MAX_DEPTH} levels`);
    } else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
}
