import { randomBytes } from "node:crypto";
import { concatBytes, Secret, toBase64Url, toHex } from "../../src/base/index.ts";
import type { ByteSource } from "../../src/base/index.ts";
import type { WrappedLocalKey } from "../../src/format/kek.ts";
import { sealFile } from "../../src/seal/seal-file.ts";
import type { SealedFile } from "../../src/seal/seal-file.ts";

/** A local key with a wrap that no KEK has made: whoever opens gets the key itself. */
export type LocalKey = { readonly key: Secret; readonly wrapped: WrappedLocalKey };

/** A sealed file in memory, with all that opens it. */
export type Sample = {
  readonly plaintext: Uint8Array;
  readonly bytes: Uint8Array;
  readonly sealed: SealedFile;
  readonly datasetId: string;
  readonly localKey: LocalKey;
};

/** Makes a local key. */
export function makeLocalKey(): LocalKey {
  return {
    key: Secret.take(new Uint8Array(randomBytes(32))),
    wrapped: {
      id: toBase64Url(randomBytes(16)),
      kekId: "flights",
      kekVersion: toHex(randomBytes(16)),
      wrapped: toBase64Url(randomBytes(384)),
    },
  };
}

/** Bytes as a source; counts what is read. */
export function sourceOf(bytes: Uint8Array): ByteSource & { readonly reads: string[] } {
  const reads: string[] = [];
  return {
    size: bytes.byteLength,
    reads,
    read: (offset, length) => {
      reads.push(`${offset}+${length}`);
      if (offset + length > bytes.byteLength) return Promise.reject(new RangeError("read"));
      return Promise.resolve(bytes.subarray(offset, offset + length));
    },
  };
}

/** Seals bytes in memory. */
export async function makeSample(
  plaintext: Uint8Array,
  given: { readonly datasetId?: string; readonly localKey?: LocalKey } = {},
): Promise<Sample> {
  const datasetId = given.datasetId ?? toHex(randomBytes(16));
  const localKey = given.localKey ?? makeLocalKey();
  const sealing = sealFile({ plaintext: sourceOf(plaintext), datasetId, localKey });
  const { bytes, sealed } = await collectSealing(sealing);
  return { plaintext, bytes, sealed, datasetId, localKey };
}

/** All chunks of a sealing, and what it returns. */
export async function collectSealing(
  sealing: AsyncGenerator<Uint8Array, SealedFile>,
): Promise<{ readonly bytes: Uint8Array; readonly sealed: SealedFile }> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const next = await sealing.next();
    if (next.done === true) return { bytes: concatBytes(...chunks), sealed: next.value };
    chunks.push(next.value);
  }
}

/** All bytes of a stream. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return concatBytes(...(await Array.fromAsync(stream)));
}
