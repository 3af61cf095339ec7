import type { BlobClient } from "@azure/storage-blob";
import { isPpmlError, PpmlError } from "../../base/index.ts";
import { checkRange } from "../local-io.ts";
import type { StoreSource } from "../store.ts";
import { changed, toStoreFailure } from "./failure.ts";
import { withRetries } from "./retry.ts";
import type { RetryPolicy } from "./retry.ts";

const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 4;
/** For the whole of one part: a server that sends a byte a minute does not hold us for ever. */
const PART_TIMEOUT_MS = 300_000;

/** The version of an object that all reads are of. */
export type PinnedBlob = {
  readonly client: BlobClient;
  readonly name: string;
  readonly uri: string;
  readonly size: number;
  readonly etag: string;
  readonly retries: RetryPolicy;
};

/** Random access to one version of an object: every read carries its etag. */
export function azureSource(blob: PinnedBlob): StoreSource {
  const { size, etag } = blob;
  const readInto = async (offset: number, target: Uint8Array): Promise<void> => {
    checkRange(offset, target.byteLength, size);
    await readParts(blob, offset, target);
  };
  return {
    size,
    etag,
    read: async (offset, length) => {
      checkRange(offset, length, size);
      const target = Buffer.allocUnsafeSlow(length);
      await readInto(offset, target);
      return target;
    },
    readInto,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Nothing is held open between reads. */
async function close(): Promise<void> {}

async function readParts(blob: PinnedBlob, offset: number, target: Uint8Array): Promise<void> {
  const parts: { readonly at: number; readonly into: Uint8Array }[] = [];
  for (let done = 0; done < target.byteLength; done += PART_BYTES)
    parts.push({ at: offset + done, into: target.subarray(done, done + PART_BYTES) });
  const rest = parts.values();
  const worker = async (): Promise<void> => {
    for (const { at, into } of rest) await readPart(blob, at, into);
  };
  const workers = Math.min(PARTS_AT_ONCE, parts.length);
  await Promise.all(Array.from({ length: workers }, worker));
}

async function readPart(blob: PinnedBlob, offset: number, target: Uint8Array): Promise<void> {
  const { client, etag, name, uri, retries } = blob;
  try {
    await withRetries(retries, async () => {
      const { readableStreamBody } = await client.download(offset, target.byteLength, {
        conditions: { ifMatch: etag },
        maxRetryRequests: 0,
        abortSignal: AbortSignal.timeout(PART_TIMEOUT_MS),
      });
      if (readableStreamBody === undefined) throw wrongLength(blob, target.byteLength, 0);
      await fill(blob, readableStreamBody, target);
    });
  } catch (error) {
    const failure = toStoreFailure(error, { what: "read", name, uri });
    // It was there when it was opened: that version is gone.
    throw isPpmlError(failure, "store.not_found") ? changed(name, error) : failure;
  }
}

async function fill(
  blob: PinnedBlob,
  body: NodeJS.ReadableStream,
  target: Uint8Array,
): Promise<void> {
  let done = 0;
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError("a stream of bytes gave text");
    if (done + chunk.byteLength > target.byteLength)
      throw wrongLength(blob, target.byteLength, done + chunk.byteLength);
    target.set(chunk, done);
    done += chunk.byteLength;
  }
  if (done !== target.byteLength) throw wrongLength(blob, target.byteLength, done);
}

function wrongLength({ name }: PinnedBlob, asked: number, came: number): PpmlError {
  return new PpmlError(
    "store.io",
    `asked for ${asked} bytes of "${name}", the storage sent ${came}: it is broken, or lies; repeat, or look at the account`,
    { detail: { name } },
  );
}
