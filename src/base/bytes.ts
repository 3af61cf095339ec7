import { createHash, hash as digestOf, timingSafeEqual } from "node:crypto";
import { PpmlError } from "./error.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Joins byte arrays into a new one. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Compares in constant time for equal lengths; different lengths are unequal. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}

/**
 * Compares bytes that are no secret, such as names and keys of certificates: how long it takes says where
 * they differ. Several times faster than `equalBytes`.
 */
export function equalPublicBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/**
 * Copies bytes that are no secret, into memory that Node shares among small copies: allocating some of
 * its own takes a microsecond.
 */
export function copyPublicBytes(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafe(bytes.byteLength);
  copy.set(bytes);
  return new Uint8Array(copy.buffer, copy.byteOffset, copy.byteLength);
}

/** Lower-case hex. */
export function toHex(bytes: Uint8Array): string {
  return view(bytes).toString("hex");
}

/**
 * Parses lower- or upper-case hex of an even number of digits.
 * @throws base.invalid_encoding
 */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text))
    throw new PpmlError("base.invalid_encoding", "expected an even number of hex digits");
  return new Uint8Array(Buffer.from(text, "hex"));
}

/** base64url without padding. @see RFC 4648 section 5 */
export function toBase64Url(bytes: Uint8Array): string {
  return view(bytes).toString("base64url");
}

/**
 * Parses base64url without padding, strictly: no other characters, no stray bits.
 * @throws base.invalid_encoding
 */
export function fromBase64Url(text: string): Uint8Array {
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text)
    throw new PpmlError("base.invalid_encoding", "expected canonical base64url without padding");
  return new Uint8Array(bytes);
}

/** Standard base64 with padding. @see RFC 4648 section 4 */
export function toBase64(bytes: Uint8Array): string {
  return view(bytes).toString("base64");
}

/**
 * Parses standard base64 with padding, strictly.
 * @throws base.invalid_encoding
 */
export function fromBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") !== text)
    throw new PpmlError("base.invalid_encoding", "expected canonical base64 with padding");
  return new Uint8Array(bytes);
}

/** UTF-8 bytes of a string. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/**
 * Decodes UTF-8 strictly.
 * @throws base.invalid_encoding
 */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch (cause) {
    throw new PpmlError("base.invalid_encoding", "expected UTF-8 text", { cause });
  }
}

/** SHA-256 of the parts, one after the other: 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  // Without the stream that a Hash is.
  if (only !== undefined && parts.length === 1)
    return new Uint8Array(digestOf("sha256", only, "buffer"));
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** SHA-384 of `bytes`: 48 bytes. */
export function sha384(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha384");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
