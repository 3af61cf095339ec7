import { randomBytes as systemRandomBytes } from "node:crypto";
import {
  concatBytes,
  fromBase64Url,
  fromHex,
  PpmlError,
  Secret,
  sha256,
  toBase64Url,
  toHex,
} from "../base/index.ts";
import type { ByteSource } from "../base/index.ts";
import type { WrappedLocalKey } from "../format/kek.ts";
import {
  DEK_BYTES,
  DEK_NONCE_BYTES,
  dekCommitment,
  wrapDek,
} from "../format/sealed-file/dek-wrap.ts";
import {
  encodeFixedPart,
  encodeWrapBlock,
  SEALED_FILE_HEADER_BYTES,
} from "../format/sealed-file/header.ts";
import {
  ciphertextLength,
  deriveStreamKey,
  encodeStreamHeader,
  NONCE_PREFIX_BYTES,
  SALT_BYTES,
  sealSegment,
  segmentAt,
  segmentCapacity,
  segmentCount,
} from "../format/sealed-file/tink-segments.ts";
import { readAhead } from "../store/read-ahead.ts";
import { freeChunk } from "../store/recycle.ts";
import type { PutCondition, Store } from "../store/store.ts";

/** What `sealFile` needs. */
export type SealFileOptions = {
  /** Chunks of any length, or random access; read once, from the start to the end. */
  readonly plaintext: AsyncIterable<Uint8Array> | ByteSource;
  /** 32 hex digits. */
  readonly datasetId: string;
  /** The local key that wraps the DEK, and its own wrap under a KEK, which goes into the header. */
  readonly localKey: { readonly key: Secret; readonly wrapped: WrappedLocalKey };
  /** Gives that many bytes of a CSPRNG; node:crypto's where left out. */
  readonly randomBytes?: (lengthBytes: number) => Uint8Array;
};

/** What the manifest says of a sealed file. */
export type SealedFile = {
  /** 32 hex digits. */
  readonly fileId: string;
  /** Stored bytes. */
  readonly length: number;
  readonly plaintextLength: number;
  /** SHA-256 of the fixed part, 64 hex digits. */
  readonly digest: string;
};

/**
 * Seals one file under a new DEK: yields the bytes to store and returns what the manifest needs.
 * Streams; two segments of 1 MiB are in memory besides what the consumer keeps.
 * @throws base.invalid_encoding or format.invalid for ids or keys of another form; format.too_large;
 * store.io where a source gives another length than asked for; what reading the plaintext throws
 * @see docs/format-file.md
 */
export async function* sealFile(
  options: SealFileOptions,
): AsyncGenerator<Uint8Array, SealedFile, undefined> {
  const { plaintext, randomBytes = randomBytesOfSystem } = options;
  using dek = Secret.take(randomBytes(DEK_BYTES));
  const fileId = randomBytes(16);
  const { fixedPart, header } = sealHeader(dek, { ...options, fileId, randomBytes });
  const streamHeader = encodeStreamHeader(randomBytes(SALT_BYTES), randomBytes(NONCE_PREFIX_BYTES));
  const stream = deriveStreamKey(dek, streamHeader, fixedPart);
  yield header;
  yield streamHeader;
  let index = 0;
  let plaintextLength = 0;
  const segments = "read" in plaintext ? segmentsOfSource(plaintext) : segmentsOfChunks(plaintext);
  for await (const { bytes, last } of segments) {
    const pieces = sealSegment(stream, { index, last }, bytes);
    index += 1;
    plaintextLength += bytes.byteLength;
    for (const piece of pieces) yield piece;
  }
  return {
    fileId: toHex(fileId),
    length: SEALED_FILE_HEADER_BYTES + ciphertextLength(plaintextLength),
    plaintextLength,
    digest: toHex(sha256(fixedPart)),
  };
}

/**
 * Seals one file into a store and gives both what the manifest needs and the stored etag.
 * @throws as `sealFile` and `Store.put`
 */
export async function sealFileTo(
  target: { readonly store: Store; readonly name: string; readonly condition?: PutCondition },
  options: SealFileOptions,
): Promise<SealedFile & { readonly etag: string }> {
  let sealed: SealedFile | null = null;
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    sealed = yield* sealFile(options);
  }
  const { etag, size } = await target.store.put(target.name, chunks(), {
    ...target.condition,
    headBytes: SEALED_FILE_HEADER_BYTES,
    recycle: freeChunk,
  });
  return { ...requireWhole(sealed, size), etag };
}

type Segment = { readonly bytes: Uint8Array; readonly last: boolean };

function sealHeader(
  dek: Secret,
  options: SealFileOptions & {
    readonly fileId: Uint8Array;
    readonly randomBytes: (lengthBytes: number) => Uint8Array;
  },
): { readonly fixedPart: Uint8Array; readonly header: Uint8Array } {
  const { fileId, localKey, randomBytes } = options;
  const datasetId = fromHex(options.datasetId);
  const fixedPart = encodeFixedPart({ fileId, datasetId, commitment: dekCommitment(dek, fileId) });
  const keyId = localKey.wrapped.id;
  const wrapped = wrapDek(dek, localKey.key, {
    context: { localKeyId: fromBase64Url(keyId), fileId, datasetId },
    nonce: randomBytes(DEK_NONCE_BYTES),
  });
  const wrapBlock = encodeWrapBlock({
    v: 1,
    dek: { keyId, wrapped: toBase64Url(wrapped) },
    key: localKey.wrapped,
  });
  return { fixedPart, header: concatBytes(fixedPart, wrapBlock) };
}

async function* segmentsOfSource(source: ByteSource): AsyncGenerator<Segment, void, undefined> {
  const last = segmentCount(source.size) - 1;
  let index = 0;
  for await (const bytes of readAhead(source, segmentRanges(source.size), { keep: false })) {
    yield { bytes, last: index === last };
    index += 1;
  }
}

function* segmentRanges(
  size: number,
): Generator<{ readonly offset: number; readonly length: number }, void, undefined> {
  for (let index = 0; index < segmentCount(size); index += 1) {
    const segment = segmentAt(index, size);
    yield { offset: segment.plaintextOffset, length: segment.plaintextLength };
  }
}

/** Collects chunks into segments. The one buffer is reused: a segment is sealed before the next. */
async function* segmentsOfChunks(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Segment, void, undefined> {
  const buffer = new Uint8Array(segmentCapacity(1));
  let index = 0;
  let filled = 0;
  for await (const chunk of chunks) {
    let done = 0;
    while (done < chunk.byteLength) {
      // Only a byte more tells that a full segment is not the last one.
      if (filled === segmentCapacity(index)) {
        yield { bytes: buffer.subarray(0, filled), last: false };
        index += 1;
        filled = 0;
      }
      const piece = chunk.subarray(done, done + segmentCapacity(index) - filled);
      buffer.set(piece, filled);
      filled += piece.byteLength;
      done += piece.byteLength;
    }
  }
  yield { bytes: buffer.subarray(0, filled), last: true };
  buffer.fill(0);
}

function requireWhole(sealed: SealedFile | null, size: number): SealedFile {
  if (sealed === null || sealed.length !== size)
    throw new PpmlError("base.internal", `the store kept ${size} bytes of a sealed file`);
  return sealed;
}

function randomBytesOfSystem(lengthBytes: number): Uint8Array {
  return new Uint8Array(systemRandomBytes(lengthBytes));
}
