import { fromBase64Url, PpmlError } from "../../base/index.ts";
import { parseUniqueJson } from "./unique-json.ts";

/** A token of MAA is some 5 KiB, one of Trustee at most some 30 KiB. */
export const MAX_TOKEN_CHARS = 128 * 1024;

const FORM = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)$/;

/** A JWS in compact form, taken apart. Nothing here is verified. @see RFC 7515 section 7.1 */
export type CompactJws = {
  /** The token itself: what is given to the signature's check. */
  readonly token: string;
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Empty where the token is unsigned. */
  readonly signature: Uint8Array;
};

/**
 * Takes a token of at most 128 KiB apart, strictly: three parts of canonical base64url, the first
 * two JSON objects without duplicate members.
 * @throws attest.invalid
 */
export function parseCompactJws(token: string, what: string): CompactJws {
  if (token.length > MAX_TOKEN_CHARS)
    throw invalid(`expected ${what} of at most ${MAX_TOKEN_CHARS} characters, got ${token.length}`);
  const parts = FORM.exec(token);
  if (parts === null)
    throw invalid(`expected ${what} as three parts of base64url between dots (JWS, compact)`);
  const [, header = "", payload = "", signature = ""] = parts;
  return {
    token,
    header: parseObject(decode(header, what), `the header of ${what}`),
    payload: parseObject(decode(payload, what), `the payload of ${what}`),
    signature: decode(signature, what),
  };
}

function decode(part: string, what: string): Uint8Array {
  try {
    return fromBase64Url(part);
  } catch (cause) {
    throw new PpmlError("attest.invalid", `${what} is not in canonical base64url`, { cause });
  }
}

function parseObject(bytes: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  const value = parseUniqueJson(bytes, what);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(`expected ${what} as a JSON object`);
  return value as Readonly<Record<string, unknown>>;
}

function invalid(message: string): PpmlError {
  return new PpmlError("attest.invalid", message);
}
