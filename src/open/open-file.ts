import { concatBytes, equalBytes, fromHex, PpmlError, sha256, toHex } from "../base/index.ts";
import type { ByteSource, Secret } from "../base/index.ts";
import type { WrappedLocalKey } from "../format/kek.ts";
import { checkDekCommitment } from "../format/sealed-file/dek-wrap.ts";
import {
  FIXED_PART_BYTES,
  hasSealedFileMagic,
  parseSealedFileHeader,
  SEALED_FILE_HEADER_BYTES,
} from "../format/sealed-file/header.ts";
import type { SealedFileHeader } from "../format/sealed-file/header.ts";
import {
  deriveStreamKey,
  openSegment,
  plaintextLength,
  segmentAt,
  segmentIndexOf,
  STREAM_HEADER_BYTES,
} from "../format/sealed-file/tink-segments.ts";
import type { Segment, StreamKey } from "../format/sealed-file/tink-segments.ts";
import { unwrapFileDek } from "../format/sealed-file/unwrap-file-dek.ts";
import { readAhead } from "../store/read-ahead.ts";

/** What the verified manifest says of the file, and of which dataset it is the manifest. */
export type ExpectedFile = {
  /** 32 hex digits. */
  readonly fileId: string;
  /** 32 hex digits. */
  readonly datasetId: string;
  /** Stored bytes. */
  readonly length: number;
  /** SHA-256 of the fixed part, 64 hex digits. */
  readonly digest: string;
};

/** How a file's DEK is found: from its local key, or from somebody who holds that one. */
export type FileKeySource =
  | {
      /** Gives the local key of a wrap that the manifest lists and a release opened; null for others. */
      readonly localKeyFor: (wrapped: WrappedLocalKey) => Secret | null;
    }
  | {
      /** Gives the DEK of a header, which is taken over; null where no released key opens it. */
      readonly dekFor: (header: SealedFileHeader) => Promise<Secret | null>;
    };

/** What `openSealedFile` needs. */
export type OpenFileOptions = FileKeySource & {
  /** The stored bytes; not trusted. */
  readonly source: ByteSource;
  readonly expected: ExpectedFile;
};

/** An opened file: its plaintext as a source of bytes, and as a stream. */
export type OpenedFile = ByteSource & {
  /** The same as `size`. */
  readonly plaintextLength: number;
  /** Yields the plaintext in order, in new chunks of up to 120 KiB that nobody else holds. */
  readonly stream: () => AsyncGenerator<Uint8Array, void, undefined>;
};

/**
 * Opens a sealed file: compares it with the manifest, unwraps the DEK and checks its commitment.
 * Data is read and decrypted only as it is asked for, and comes out only where its tag is right.
 * `source` must stay open as long as the result is used.
 * @throws open.plaintext, open.manifest, open.no_key, open.not_authentic, format.invalid,
 * format.unsupported; reads: open.not_authentic, base.out_of_bounds and what the source throws
 * @see docs/format-file.md section "Opening"
 */
export async function openSealedFile(options: OpenFileOptions): Promise<OpenedFile> {
  const { source, expected } = options;
  const header = await readHeader(source, expected);
  const size = plaintextLength(source.size - SEALED_FILE_HEADER_BYTES);
  const streamHeader = await source.read(SEALED_FILE_HEADER_BYTES, STREAM_HEADER_BYTES);
  using dek = await findDek(header, options);
  // Here too, whoever gave it: the manifest vouches for this DEK and for no other.
  checkDekCommitment(dek, header);
  const stream = deriveStreamKey(dek, streamHeader, header.fixedPart);
  const file: SealedData = { source, stream, size };
  const openCached = cacheOne((index: number) => openOne(file, index));
  return {
    size,
    plaintextLength: size,
    read: (offset, length) => readRange(file, { offset, length }, openCached),
    stream: () => streamSegments(file, { first: 0, last: segmentIndexOf(Math.max(0, size - 1)) }),
  };
}

type SealedData = {
  readonly source: ByteSource;
  readonly stream: StreamKey;
  readonly size: number;
};
type SegmentSpan = { readonly first: number; readonly last: number };

async function readHeader(source: ByteSource, expected: ExpectedFile): Promise<SealedFileHeader> {
  const bytes = await source.read(0, Math.min(source.size, SEALED_FILE_HEADER_BYTES));
  if (!hasSealedFileMagic(bytes))
    throw new PpmlError(
      "open.plaintext",
      "the manifest lists a sealed file, but what is stored is not one: it was replaced",
    );
  if (source.size !== expected.length || bytes.byteLength < SEALED_FILE_HEADER_BYTES)
    throw new PpmlError(
      "open.manifest",
      `the manifest lists ${expected.length} bytes, the store has ${source.size}: the file was cut, extended or replaced`,
    );
  if (!equalBytes(sha256(bytes.subarray(0, FIXED_PART_BYTES)), fromHex(expected.digest)))
    throw new PpmlError(
      "open.manifest",
      "the file's fixed part has another digest than the manifest lists: another file is in its place",
    );
  const header = parseSealedFileHeader(bytes);
  if (toHex(header.fileId) !== expected.fileId || toHex(header.datasetId) !== expected.datasetId)
    throw new PpmlError(
      "open.manifest",
      "the file's id or dataset is not that of the manifest, whose digest it has: the manifest is wrong",
    );
  return header;
}

async function findDek(header: SealedFileHeader, keys: FileKeySource): Promise<Secret> {
  const { key } = header.wrap;
  if ("dekFor" in keys) {
    const dek = await keys.dekFor(header);
    if (dek !== null) return dek;
  } else {
    const localKey = keys.localKeyFor(key);
    if (localKey !== null) return unwrapFileDek(header, localKey);
  }
  throw new PpmlError(
    "open.no_key",
    `no released key opens this file: it needs local key ${key.id} under KEK ${key.kekId}`,
    { detail: { kekId: key.kekId, localKeyId: key.id } },
  );
}

async function readRange(
  file: SealedData,
  range: { readonly offset: number; readonly length: number },
  openCached: (index: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const { offset, length } = range;
  checkRange(file, range);
  if (length === 0) return new Uint8Array(0);
  const span = { first: segmentIndexOf(offset), last: segmentIndexOf(offset + length - 1) };
  // Small reads come in runs through one segment; it is decrypted once for them.
  if (span.first === span.last) {
    const start = offset - segmentAt(span.first, file.size).plaintextOffset;
    return (await openCached(span.first)).slice(start, start + length);
  }
  const result = new Uint8Array(length);
  let position = segmentAt(span.first, file.size).plaintextOffset - offset;
  for await (const plaintext of streamSegments(file, span)) {
    const end = position + plaintext.byteLength;
    // The first and the last segment have pieces outside the range.
    if (end > 0 && position < length)
      result.set(
        plaintext.subarray(Math.max(0, -position), length - position),
        Math.max(0, position),
      );
    position = end;
  }
  return result;
}

async function* streamSegments(
  file: SealedData,
  span: SegmentSpan,
): AsyncGenerator<Uint8Array, void, undefined> {
  let index = span.first;
  for await (const ciphertext of readAhead(file.source, storedRanges(file, span), {
    keep: false,
  })) {
    const pieces = openSegment(file.stream, segmentAt(index, file.size), ciphertext);
    index += 1;
    for (const piece of pieces) yield piece;
  }
}

async function openOne(file: SealedData, index: number): Promise<Uint8Array> {
  const segment = segmentAt(index, file.size);
  const { offset, length } = storedRange(segment);
  const ciphertext = await file.source.read(offset, length);
  return concatBytes(...openSegment(file.stream, segment, ciphertext));
}

function* storedRanges(
  file: SealedData,
  span: SegmentSpan,
): Generator<{ readonly offset: number; readonly length: number }, void, undefined> {
  for (let index = span.first; index <= span.last; index += 1)
    yield storedRange(segmentAt(index, file.size));
}

function storedRange(segment: Segment): { readonly offset: number; readonly length: number } {
  return {
    offset: SEALED_FILE_HEADER_BYTES + segment.ciphertextOffset,
    length: segment.ciphertextLength,
  };
}

/** Remembers the last result, not a failure. */
function cacheOne<T>(compute: (key: number) => Promise<T>): (key: number) => Promise<T> {
  let cached: { readonly key: number; readonly value: Promise<T> } | null = null;
  return async (key) => {
    if (cached?.key === key) return cached.value;
    const entry = { key, value: compute(key) };
    cached = entry;
    try {
      return await entry.value;
    } catch (error) {
      if (cached === entry) cached = null;
      throw error;
    }
  };
}

function checkRange(
  file: SealedData,
  range: { readonly offset: number; readonly length: number },
): void {
  const { offset, length } = range;
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (!whole || offset < 0 || length < 0 || offset + length > file.size)
    throw new PpmlError(
      "base.out_of_bounds",
      `bytes ${offset} to ${offset + length} are not in the opened file, which has ${file.size}`,
    );
}
