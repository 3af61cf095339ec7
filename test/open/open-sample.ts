import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { isPpmlError } from "../../src/base/index.ts";
import { openSealedFile } from "../../src/open/open-file.ts";
import type { ExpectedFile, OpenedFile } from "../../src/open/open-file.ts";
import { collect, makeSample, sourceOf } from "../seal/sealed-sample.ts";
import type { Sample } from "../seal/sealed-sample.ts";

/** Bytes of a whole ciphertext segment. */
export const MIB = 1_048_576;
/** A file of four segments. */
export const sample = await makeSample(new Uint8Array(randomBytes(3 * MIB + 500)));
/** Another file of the same dataset, local key and length. */
export const sibling = await makeSample(new Uint8Array(randomBytes(3 * MIB + 500)), sample);

/** What a manifest says of a sample. */
export function expectedOf(of: Sample): ExpectedFile {
  return { ...of.sealed, datasetId: of.datasetId };
}

/** Opens bytes; the manifest vouches for their length, so that only the data itself
 * can be wrong; local keys are found by the whole wrap, as the manifest lists it. */
export function open(
  bytes: Uint8Array,
  given: { readonly of?: Sample; readonly expected?: Partial<ExpectedFile> } = {},
): Promise<OpenedFile> {
  const of = given.of ?? sample;
  return openSealedFile({
    source: sourceOf(bytes),
    localKeyFor: (wrapped) =>
      isDeepStrictEqual(wrapped, of.localKey.wrapped) ? of.localKey.key : null,
    expected: { ...expectedOf(of), length: bytes.byteLength, ...given.expected },
  });
}

/** Opens the changed sample wholly. */
export async function openAll(bytes: Uint8Array): Promise<Uint8Array> {
  return collect((await open(bytes)).stream());
}

/** Only refusals of ours, and never a byte that was not sealed there. */
export async function assertRefused(bytes: Uint8Array, what: string): Promise<void> {
  await assert.rejects(
    openAll(bytes),
    (error) => isPpmlError(error) && /^(?:open|format)\./.test(error.code),
    what,
  );
}

/** Bytes with one bit changed. */
export function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return changed;
}
