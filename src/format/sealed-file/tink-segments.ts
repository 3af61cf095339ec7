import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { PpmlError } from "../../base/index.ts";
import type { Secret } from "../../base/index.ts";

/** Length in bytes of a whole ciphertext segment, its tag included (Tink's "1MB"). */
export const CIPHERTEXT_SEGMENT_BYTES = 1_048_576;
/** Length in bytes of the AES-GCM tag at the end of each segment. */
export const TAG_BYTES = 16;
/** Length in bytes of the header before the first segment: length byte, salt, nonce prefix. */
export const STREAM_HEADER_BYTES = 40;
/** Length in bytes of HKDF's salt in the stream's header. */
export const SALT_BYTES = 32;
/** Length in bytes of the nonce prefix in the stream's header. */
export const NONCE_PREFIX_BYTES = 7;

// Node gives each update's output as a new buffer. Under malloc's mmap threshold of 128 KiB, the next
// piece takes the memory of one that was freed; a whole segment would come as fresh pages each time.
const PIECE_BYTES = 120 * 1024;
const PLAINTEXT_SEGMENT_BYTES = CIPHERTEXT_SEGMENT_BYTES - TAG_BYTES;
// The index is a u32 in the nonce.
const MAX_SEGMENTS = 2 ** 32;

/** Where one segment lies; ciphertext offsets count from the first byte of the stream's header. */
export type Segment = {
  readonly index: number;
  readonly last: boolean;
  readonly plaintextOffset: number;
  readonly plaintextLength: number;
  readonly ciphertextOffset: number;
  /** With the tag. */
  readonly ciphertextLength: number;
};

/** The stream's AES-256 key and nonce prefix, derived once a file. */
export type StreamKey = { readonly key: KeyObject; readonly noncePrefix: Uint8Array };

/**
 * Plaintext bytes of the segment `index` where it is not the last: the first one is shorter by the
 * stream's header, so that all ciphertext segments end on multiples of their length.
 */
export function segmentCapacity(index: number): number {
  return index === 0 ? PLAINTEXT_SEGMENT_BYTES - STREAM_HEADER_BYTES : PLAINTEXT_SEGMENT_BYTES;
}

/** The number of segments of a plaintext of that length: one at least, and only then empty. */
export function segmentCount(plaintextBytes: number): number {
  return Math.max(1, Math.ceil((plaintextBytes + STREAM_HEADER_BYTES) / PLAINTEXT_SEGMENT_BYTES));
}

/**
 * Length in bytes of the stream (header, segments and tags) of a plaintext of that length.
 * @throws format.too_large over 2^32 segments
 */
export function ciphertextLength(plaintextBytes: number): number {
  const count = segmentCount(plaintextBytes);
  if (count > MAX_SEGMENTS)
    throw new PpmlError(
      "format.too_large",
      `a sealed file holds at most 2^32 segments of 1 MiB; ${plaintextBytes} bytes need more`,
    );
  return STREAM_HEADER_BYTES + plaintextBytes + count * TAG_BYTES;
}

/**
 * Length in bytes of the plaintext of a stream of that length.
 * @throws format.invalid where no plaintext gives a stream of that length; format.too_large
 */
export function plaintextLength(ciphertextBytes: number): number {
  const count = Math.ceil(ciphertextBytes / CIPHERTEXT_SEGMENT_BYTES);
  const length = ciphertextBytes - STREAM_HEADER_BYTES - count * TAG_BYTES;
  if (length < 0 || ciphertextLength(length) !== ciphertextBytes)
    throw new PpmlError(
      "format.invalid",
      `no plaintext has a sealed stream of ${ciphertextBytes} bytes: the file was cut or extended`,
    );
  return length;
}

/** The segment `index` of a plaintext of that length; `index` is under `segmentCount`. */
export function segmentAt(index: number, plaintextBytes: number): Segment {
  const last = index === segmentCount(plaintextBytes) - 1;
  const plaintextOffset = index === 0 ? 0 : index * PLAINTEXT_SEGMENT_BYTES - STREAM_HEADER_BYTES;
  const length = last ? plaintextBytes - plaintextOffset : segmentCapacity(index);
  return {
    index,
    last,
    plaintextOffset,
    plaintextLength: length,
    ciphertextOffset: index === 0 ? STREAM_HEADER_BYTES : index * CIPHERTEXT_SEGMENT_BYTES,
    ciphertextLength: length + TAG_BYTES,
  };
}

/** The index of the segment that holds the plaintext byte at that offset. */
export function segmentIndexOf(plaintextOffset: number): number {
  return Math.floor((plaintextOffset + STREAM_HEADER_BYTES) / PLAINTEXT_SEGMENT_BYTES);
}

/** Encodes the stream's header from 32 bytes of salt and 7 bytes of nonce prefix: 40 bytes. */
export function encodeStreamHeader(salt: Uint8Array, noncePrefix: Uint8Array): Uint8Array {
  const header = new Uint8Array(STREAM_HEADER_BYTES);
  header[0] = STREAM_HEADER_BYTES;
  header.set(salt.subarray(0, SALT_BYTES), 1);
  header.set(noncePrefix.subarray(0, NONCE_PREFIX_BYTES), 1 + SALT_BYTES);
  return header;
}

/**
 * Derives the stream's key: HKDF-SHA256(ikm DEK, salt of the header, info = associated data).
 * @param streamHeader the 40 bytes before the first segment
 * @throws open.not_authentic where the header's length byte is not 40
 * @see https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming
 */
export function deriveStreamKey(
  dek: Secret,
  streamHeader: Uint8Array,
  associatedData: Uint8Array,
): StreamKey {
  if (streamHeader.byteLength !== STREAM_HEADER_BYTES || streamHeader[0] !== STREAM_HEADER_BYTES)
    throw notAuthentic();
  const salt = streamHeader.subarray(1, 1 + SALT_BYTES);
  const derived = new Uint8Array(
    dek.expose((bytes) => hkdfSync("sha256", bytes, salt, associatedData, 32)),
  );
  const key = createSecretKey(derived);
  derived.fill(0);
  return { key, noncePrefix: Uint8Array.from(streamHeader.subarray(1 + SALT_BYTES)) };
}

/**
 * Encrypts one segment; gives the ciphertext in pieces, the tag last, so that nobody joins them.
 * @param segment its index (u32) and whether it is the last
 * @param plaintext as many bytes as the segment holds; not kept
 */
export function sealSegment(
  stream: StreamKey,
  segment: Pick<Segment, "index" | "last">,
  plaintext: Uint8Array,
): readonly Uint8Array[] {
  // The nonce is unique under the derived key: the index counts, and the DEK, salt and prefix are
  // random for each file. GCM has no AAD here: what the file is bound to is in the key's HKDF info.
  const cipher = createCipheriv("aes-256-gcm", stream.key, segmentNonce(stream, segment));
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < plaintext.byteLength; offset += PIECE_BYTES)
    pieces.push(cipher.update(plaintext.subarray(offset, offset + PIECE_BYTES)));
  cipher.final();
  pieces.push(cipher.getAuthTag());
  return pieces;
}

/**
 * Decrypts one segment, in pieces; nothing of it comes out unless its tag is right.
 * @param segment its index (u32) and whether it is the last
 * @param ciphertext the segment with its tag; not kept
 * @throws open.not_authentic
 */
export function openSegment(
  stream: StreamKey,
  segment: Pick<Segment, "index" | "last">,
  ciphertext: Uint8Array,
): readonly Uint8Array[] {
  const tagOffset = ciphertext.byteLength - TAG_BYTES;
  if (tagOffset < 0) throw notAuthentic();
  const decipher = createDecipheriv("aes-256-gcm", stream.key, segmentNonce(stream, segment), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAuthTag(ciphertext.subarray(tagOffset));
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < tagOffset; offset += PIECE_BYTES)
    pieces.push(
      decipher.update(ciphertext.subarray(offset, Math.min(offset + PIECE_BYTES, tagOffset))),
    );
  try {
    decipher.final();
  } catch {
    for (const piece of pieces) piece.fill(0);
    throw notAuthentic();
  }
  return pieces;
}

function segmentNonce(stream: StreamKey, segment: Pick<Segment, "index" | "last">): Uint8Array {
  const nonce = new Uint8Array(12);
  nonce.set(stream.noncePrefix);
  new DataView(nonce.buffer).setUint32(NONCE_PREFIX_BYTES, segment.index);
  nonce[11] = segment.last ? 1 : 0;
  return nonce;
}

function notAuthentic(): PpmlError {
  return new PpmlError("open.not_authentic", "the file is not what was sealed");
}
