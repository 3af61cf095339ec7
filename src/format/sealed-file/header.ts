import { z } from "zod";
import {
  concatBytes,
  equalBytes,
  fromBase64Url,
  PpmlError,
  sha256,
  utf8,
} from "../../base/index.ts";
import { encodeJcs, parseCanonicalJson } from "../jcs.ts";
import { wrappedLocalKeySchema } from "../kek.ts";
import { parseWith } from "../schema.ts";
import { WRAPPED_DEK_BYTES } from "./dek-wrap.ts";

/** Length in bytes of a sealed file's header; the Tink stream follows it. */
export const SEALED_FILE_HEADER_BYTES = 4096;
/** Length in bytes of the header's fixed part, which never changes and is the associated data. */
export const FIXED_PART_BYTES = 128;

const WRAP_BLOCK_BYTES = SEALED_FILE_HEADER_BYTES - FIXED_PART_BYTES;
const MAX_WRAP_JSON_BYTES = WRAP_BLOCK_BYTES - 4;
const MAGIC = utf8("PPMLSF1\n");
const VERSION = 1;
const ALGORITHM_AES256_GCM_HKDF_1MB = 1;
const FILE_ID_OFFSET = 16;
const DATASET_ID_OFFSET = 32;
const COMMITMENT_OFFSET = 48;
const RESERVED_OFFSET = 80;

/** What the wrap block holds: the DEK under a local key, and the local key under a KEK. */
export const sealedFileWrapSchema = z
  .strictObject({
    v: z.literal(1),
    dek: z.strictObject({
      keyId: wrappedLocalKeySchema.shape.id,
      /** base64url of nonce, ciphertext and tag: 60 bytes. */
      wrapped: z.string().regex(/^[A-Za-z0-9_-]{80}$/),
    }),
    key: wrappedLocalKeySchema,
  })
  .refine((wrap) => wrap.dek.keyId === wrap.key.id, "the DEK is under another local key");
/** What the wrap block holds. */
export type SealedFileWrap = z.infer<typeof sealedFileWrapSchema>;

/** The fixed part as data: ids of 16 bytes, commitment of 32. */
export type FixedPart = {
  readonly fileId: Uint8Array;
  readonly datasetId: Uint8Array;
  readonly commitment: Uint8Array;
};

/** A parsed header; `fixedPart` is its first 128 bytes. */
export type SealedFileHeader = FixedPart & {
  readonly fixedPart: Uint8Array;
  readonly wrap: SealedFileWrap;
};

/** Tells whether a file's first bytes are a sealed file's, or a beginning of them. */
export function hasSealedFileMagic(start: Uint8Array): boolean {
  const length = Math.min(start.byteLength, MAGIC.byteLength);
  return equalBytes(start.subarray(0, length), MAGIC.subarray(0, length));
}

/** SHA-256 of the fixed part (the header's first 128 bytes): the manifest's digest of the file. */
export function fixedPartDigest(header: Uint8Array): Uint8Array {
  return sha256(header.subarray(0, FIXED_PART_BYTES));
}

/**
 * Encodes the fixed part: 128 bytes.
 * @see docs/format-file.md section "Fixed part"
 */
export function encodeFixedPart(part: FixedPart): Uint8Array {
  requireLength(part.fileId, 16, "file id");
  requireLength(part.datasetId, 16, "dataset id");
  requireLength(part.commitment, 32, "DEK commitment");
  const bytes = new Uint8Array(FIXED_PART_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint16(8, VERSION, true);
  view.setUint16(10, ALGORITHM_AES256_GCM_HKDF_1MB, true);
  bytes.set(part.fileId, FILE_ID_OFFSET);
  bytes.set(part.datasetId, DATASET_ID_OFFSET);
  bytes.set(part.commitment, COMMITMENT_OFFSET);
  return bytes;
}

/**
 * Encodes the wrap block: 3,968 bytes.
 * @throws format.invalid; format.too_large where its JSON does not fit
 * @see docs/format-file.md section "Wrap block"
 */
export function encodeWrapBlock(wrap: SealedFileWrap): Uint8Array {
  const json = encodeJcs(parseWrap(wrap));
  if (json.byteLength > MAX_WRAP_JSON_BYTES)
    throw new PpmlError(
      "format.too_large",
      `the wrap block holds ${MAX_WRAP_JSON_BYTES} bytes of JSON; the wrapped keys need ${json.byteLength}`,
    );
  const bytes = new Uint8Array(WRAP_BLOCK_BYTES);
  new DataView(bytes.buffer).setUint32(0, json.byteLength, true);
  bytes.set(json, 4);
  return bytes;
}

/**
 * Parses a header of exactly 4,096 bytes. Nothing in it is authentic yet: the manifest's digest
 * vouches for the fixed part, and the DEK commitment for the key.
 * @throws format.invalid, format.unsupported
 */
export function parseSealedFileHeader(bytes: Uint8Array): SealedFileHeader {
  requireLength(bytes, SEALED_FILE_HEADER_BYTES, "sealed file header");
  const fixedPart = Uint8Array.from(bytes.subarray(0, FIXED_PART_BYTES));
  return {
    fixedPart,
    ...parseFixedPart(fixedPart),
    wrap: parseWrapBlock(bytes.subarray(FIXED_PART_BYTES)),
  };
}

/**
 * Encodes a header that was parsed: the 4,096 bytes it was parsed from.
 * @throws format.invalid, format.too_large
 */
export function encodeHeaderOf(header: Pick<SealedFileHeader, "fixedPart" | "wrap">): Uint8Array {
  return concatBytes(header.fixedPart, encodeWrapBlock(header.wrap));
}

/**
 * Gives the header with another wrap block and the same fixed part, for re-wrapping in place: the
 * stream after it stays as it is.
 * @param header 4,096 bytes
 * @throws format.invalid, format.unsupported, format.too_large
 */
export function rewrapHeader(header: Uint8Array, wrap: SealedFileWrap): Uint8Array {
  return encodeHeaderOf({ fixedPart: parseSealedFileHeader(header).fixedPart, wrap });
}

function parseFixedPart(bytes: Uint8Array): FixedPart {
  if (!hasSealedFileMagic(bytes))
    throw new PpmlError("format.invalid", "expected a sealed file, which starts with PPMLSF1");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const version = view.getUint16(8, true);
  const algorithm = view.getUint16(10, true);
  if (version !== VERSION || algorithm !== ALGORITHM_AES256_GCM_HKDF_1MB)
    throw new PpmlError(
      "format.unsupported",
      `expected a sealed file of version 1 and algorithm 1, got version ${version} and algorithm ${algorithm}: a newer ppml may read it`,
    );
  if (view.getUint32(12, true) !== 0 || !isZero(bytes.subarray(RESERVED_OFFSET)))
    throw new PpmlError(
      "format.invalid",
      "reserved bytes of the sealed file's header are not zero",
    );
  return {
    fileId: bytes.subarray(FILE_ID_OFFSET, DATASET_ID_OFFSET),
    datasetId: bytes.subarray(DATASET_ID_OFFSET, COMMITMENT_OFFSET),
    commitment: bytes.subarray(COMMITMENT_OFFSET, RESERVED_OFFSET),
  };
}

function parseWrapBlock(block: Uint8Array): SealedFileWrap {
  const length = new DataView(block.buffer, block.byteOffset).getUint32(0, true);
  if (length > MAX_WRAP_JSON_BYTES)
    throw new PpmlError(
      "format.invalid",
      `the wrap block holds at most ${MAX_WRAP_JSON_BYTES} bytes of JSON, its length says ${length}`,
    );
  const json = block.subarray(4, 4 + length);
  if (!isZero(block.subarray(4 + length)))
    throw new PpmlError("format.invalid", "the padding of the wrap block is not zero");
  return parseWrap(parseCanonicalJson(json, "wrap block"));
}

function parseWrap(value: unknown): SealedFileWrap {
  const wrap = parseWith(sealedFileWrapSchema, value, { what: "wrap block" });
  // Text of the right length may still carry stray bits in its last character.
  const bytes = [wrap.dek.keyId, wrap.dek.wrapped, wrap.key.wrapped].map(fromStrictBase64Url);
  if (bytes[1]?.byteLength !== WRAPPED_DEK_BYTES)
    throw new PpmlError("format.invalid", `the wrapped DEK is not ${WRAPPED_DEK_BYTES} bytes`);
  return wrap;
}

function fromStrictBase64Url(text: string): Uint8Array {
  try {
    return fromBase64Url(text);
  } catch (cause) {
    throw new PpmlError("format.invalid", "the wrap block holds text that is not base64url", {
      cause,
    });
  }
}

function requireLength(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.byteLength !== length)
    throw new PpmlError(
      "format.invalid",
      `expected ${length} bytes of ${what}, got ${bytes.byteLength}`,
    );
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
