import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type DecipherGCM,
  type KeyObject,
  randomBytes as osRandomBytes,
  timingSafeEqual,
} from "node:crypto";
import { concatBytes } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import type { Secret } from "../../base/secret.ts";
import { append, type Output, release } from "./output.ts";

/** Module types of the AAD suffix. @see Encryption.md section 4.4.2 */
export const MODULE = {
  footer: 0,
  columnMetadata: 1,
  dataPage: 2,
  dictionaryPage: 3,
  dataPageHeader: 4,
  dictionaryPageHeader: 5,
  columnIndex: 6,
  offsetIndex: 7,
  bloomFilterHeader: 8,
  bloomFilterBitset: 9,
} as const;

/** Where a module stands: `page` counts data pages, and only data pages and their headers have it. */
export type ModulePlace = {
  readonly type: number;
  readonly rowGroup: number;
  readonly column: number;
  readonly page?: number;
};

/** Makes the AAD of one file's modules; each result is valid until the next call. */
export type ModuleAad = (place: ModulePlace | "footer") => Uint8Array;

/** Gives random bytes; injected by tests only, from the operating system otherwise. */
export type RandomBytes = (length: number) => Uint8Array;

/** A key that seals modules, with the number of times that it was used. */
export type Sealer = {
  readonly key: KeyObject;
  readonly nonces: () => Uint8Array;
  used: number;
  /** Length and nonce of the module at hand. */
  readonly head: Uint8Array;
};

/** How pages are encrypted: with GCM, or with CTR, which does not authenticate. */
export type PageCipher = "gcm" | "ctr";

/** Length, nonce and tag around a GCM module's ciphertext. @see Encryption.md section 5.1 */
export const GCM_OVERHEAD = 4 + 12 + 16;
/** Length and nonce before a CTR module's ciphertext. */
export const CTR_OVERHEAD = 4 + 12;

const PIECE_BYTES = 128 * 1024;
const GCM_OPTIONS = { authTagLength: 16 } as const;

/** A non-extractable AES key of 128, 192 or 256 bits. @throws format.invalid */
export function importKey(secret: Secret): KeyObject {
  const length = secret.byteLength;
  if (length !== 16 && length !== 24 && length !== 32)
    throw new PpmlError(
      "format.invalid",
      `expected an AES key of 16, 24 or 32 bytes, found ${length}`,
    );
  return secret.expose((bytes) => createSecretKey(bytes));
}

/** AADs of a file: `prefix | unique | type [| row group | column [| page]]`, little-endian i16. */
export function moduleAad(fileAad: Uint8Array): ModuleAad {
  const base = fileAad.byteLength;
  const bytes = new Uint8Array(base + 7);
  bytes.set(fileAad);
  const view = new DataView(bytes.buffer);
  const short = bytes.subarray(0, base + 1);
  const middle = bytes.subarray(0, base + 5);
  return (place) => {
    if (place === "footer") {
      bytes[base] = MODULE.footer;
      return short;
    }
    bytes[base] = place.type;
    view.setInt16(base + 1, place.rowGroup, true);
    view.setInt16(base + 3, place.column, true);
    if (place.page === undefined) return middle;
    view.setInt16(base + 5, place.page, true);
    return bytes;
  };
}

/** Nonces of 12 random bytes each, drawn 256 at a time; no byte is used twice. */
export function nonceSource(randomBytes: RandomBytes = osRandomBytes): () => Uint8Array {
  let pool: Uint8Array = new Uint8Array(0);
  let next = 0;
  return () => {
    if (next + 12 > pool.byteLength) {
      pool = randomBytes(256 * 12);
      next = 0;
    }
    next += 12;
    return pool.subarray(next - 12, next);
  };
}

/** A sealer under `key`; it refuses to work past the invocation limit of GCM. */
export function createSealer(key: KeyObject, nonces: () => Uint8Array): Sealer {
  return { key, nonces, used: 0, head: new Uint8Array(16) };
}

/**
 * Appends `plain` as a GCM module: length u32 LE | nonce 12 | ciphertext | tag 16.
 * The nonce comes from the operating system's generator and is used once.
 * @throws format.too_large after 2^32 modules under one key
 * @see Encryption.md sections 4.1.4 and 5.1
 */
export function sealModule(
  sealer: Sealer,
  plain: Uint8Array,
  to: { readonly output: Output; readonly aad: Uint8Array },
): void {
  const { cipher, head } = startSealing(sealer, plain, to.aad);
  append(to.output, head);
  transform(cipher, plain, to.output);
  cipher.final();
  append(to.output, cipher.getAuthTag());
}

/** As `sealModule`, into bytes of its own. @throws format.too_large */
export function sealModuleBytes(sealer: Sealer, plain: Uint8Array, aad: Uint8Array): Uint8Array {
  const { cipher, head } = startSealing(sealer, plain, aad);
  const ciphertext = cipher.update(plain);
  cipher.final();
  return concatBytes(head, ciphertext, cipher.getAuthTag());
}

/**
 * Opens a GCM module that fills `module`.
 * @throws open.not_authentic
 */
export function openModule(key: KeyObject, module: Uint8Array, aad: Uint8Array): Uint8Array {
  const decipher = startOpening(key, module, aad);
  const plain = decipher.update(module.subarray(16, -16));
  checkTag(decipher);
  return plain;
}

/**
 * Appends what a page module holds; the caller gives nothing away before this has returned.
 * CTR pages are deciphered, but nothing authenticates them.
 * @throws open.not_authentic
 */
export function openPageModule(
  from: { readonly key: KeyObject; readonly cipher: PageCipher; readonly aad: Uint8Array },
  module: Uint8Array,
  output: Output,
): void {
  if (from.cipher === "gcm") {
    const decipher = startOpening(from.key, module, from.aad);
    transform(decipher, module.subarray(16, -16), output);
    checkTag(decipher);
    return;
  }
  checkLength(module, CTR_OVERHEAD);
  // 4.2.2: the counter field's "first 31 bits are set to 0, the last bit is set to 1".
  const iv = new Uint8Array(16);
  iv.set(module.subarray(4, 16));
  iv[15] = 1;
  const decipher = createDecipheriv(algorithm(from.key, "ctr"), from.key, iv);
  transform(decipher, module.subarray(16), output);
}

function startSealing(
  sealer: Sealer,
  plain: Uint8Array,
  aad: Uint8Array,
): { readonly cipher: CipherGCM; readonly head: Uint8Array } {
  // 4.1.4: "If the counter exceeds 2^32, the implementation should return an error".
  if (sealer.used >= 2 ** 32)
    throw new PpmlError("format.too_large", "one key sealed 2^32 modules: use more files");
  sealer.used += 1;
  const { head, key } = sealer;
  const nonce = sealer.nonces();
  writeU32(head, { at: 0, value: plain.byteLength + 28 });
  head.set(nonce, 4);
  const cipher = createCipheriv(algorithm(key, "gcm"), key, nonce, GCM_OPTIONS);
  cipher.setAAD(aad);
  return { cipher, head };
}

function startOpening(key: KeyObject, module: Uint8Array, aad: Uint8Array): DecipherGCM {
  checkLength(module, GCM_OVERHEAD);
  const nonce = module.subarray(4, 16);
  const decipher = createDecipheriv(algorithm(key, "gcm"), key, nonce, GCM_OPTIONS);
  decipher.setAAD(aad);
  decipher.setAuthTag(module.subarray(-16));
  return decipher;
}

function checkLength(module: Uint8Array, overhead: number): void {
  const { byteLength } = module;
  if (byteLength < overhead || readU32(module, 0) !== byteLength - 4) throw notAuthentic();
}

function checkTag(decipher: DecipherGCM): void {
  try {
    decipher.final();
  } catch {
    throw notAuthentic();
  }
}

// Pieces small enough that the allocator gives the same memory for each of them.
function transform(
  cipher: { readonly update: (bytes: Uint8Array) => Uint8Array },
  bytes: Uint8Array,
  output: Output,
): void {
  for (let from = 0; from < bytes.byteLength; from += PIECE_BYTES) {
    const piece = cipher.update(bytes.subarray(from, from + PIECE_BYTES));
    append(output, piece);
    release(piece);
  }
}

/**
 * Checks a plaintext footer's signature: nonce 12 | tag 16 over the footer's bytes.
 * @throws open.not_authentic
 * @see Encryption.md section 5.5
 */
export function verifyFooterSignature(
  key: KeyObject,
  signed: { readonly footer: Uint8Array; readonly signature: Uint8Array },
  aad: Uint8Array,
): void {
  const nonce = signed.signature.subarray(0, 12);
  const cipher = createCipheriv(algorithm(key, "gcm"), key, nonce, GCM_OPTIONS);
  cipher.setAAD(aad);
  cipher.update(signed.footer);
  cipher.final();
  const tag = signed.signature.subarray(12);
  if (tag.byteLength !== 16 || !timingSafeEqual(cipher.getAuthTag(), tag)) throw notAuthentic();
}

/** The one error of every failed decryption: it names no step. */
export function notAuthentic(): PpmlError {
  return new PpmlError(
    "open.not_authentic",
    "expected the table as it was sealed, found other bytes or another key: restore the file",
  );
}

/** Reads a little-endian u32. */
export function readU32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  const high = (bytes[at + 2] ?? 0) | ((bytes[at + 3] ?? 0) << 8);
  return low + high * 65_536;
}

/** Writes a little-endian u32. */
export function writeU32(
  target: Uint8Array,
  what: { readonly at: number; readonly value: number },
): void {
  const { at, value } = what;
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
}

function algorithm(key: KeyObject, mode: "gcm"): "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm";
function algorithm(key: KeyObject, mode: "ctr"): "aes-128-ctr" | "aes-192-ctr" | "aes-256-ctr";
function algorithm(key: KeyObject, mode: PageCipher): string {
  return `aes-${(key.symmetricKeySize ?? 32) * 8}-${mode}`;
}
