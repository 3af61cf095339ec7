import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fromHex, sha256, toHex } from "../../src/base/index.ts";
import { parseSealedFileHeader, unwrapFileDek } from "../../src/format/sealed-file/index.ts";
import { sealFile, sealFileTo } from "../../src/seal/seal-file.ts";
import { openLocalStore } from "../../src/store/index.ts";
import { tinkDecrypt } from "../format/sealed-file/tink-reference.ts";
import { collectSealing, makeLocalKey, makeSample, sourceOf } from "./sealed-sample.ts";
import type { Sample } from "./sealed-sample.ts";

const MIB = 1_048_576;

/** Opens with nothing of ours but the DEK. */
function openWithTink(sample: Sample): Uint8Array {
  using dek = unwrapFileDek(
    parseSealedFileHeader(sample.bytes.subarray(0, 4096)),
    sample.localKey.key,
  );
  return dek.expose((key) =>
    tinkDecrypt({
      key,
      associatedData: sample.bytes.subarray(0, 128),
      ciphertext: sample.bytes.subarray(4096),
    }),
  );
}

async function* chunksOf(
  bytes: Uint8Array,
  lengths: readonly number[],
): AsyncGenerator<Uint8Array> {
  // The same memory each time: a chunk is only lent until the next is asked for.
  const buffer = new Uint8Array(Math.max(...lengths));
  for (let at = 0, turn = 0; at < bytes.byteLength; turn += 1) {
    const piece = bytes.subarray(at, at + (lengths[turn % lengths.length] ?? 1));
    buffer.set(piece);
    yield buffer.subarray(0, piece.byteLength);
    at += piece.byteLength;
  }
}

test("whoever has the DEK opens a sealed file with Tink, at all sizes around segment borders", async () => {
  for (const size of [
    0,
    1,
    1000,
    MIB - 57,
    MIB - 56,
    MIB - 55,
    2 * MIB - 72,
    2 * MIB - 71,
    3 * MIB,
  ]) {
    const sample = await makeSample(new Uint8Array(randomBytes(size)));
    assert.deepEqual(openWithTink(sample), sample.plaintext, `${size}`);
    assert.equal(sample.sealed.length, sample.bytes.byteLength);
    assert.equal(sample.sealed.plaintextLength, size);
  }
});

test("chunks of any length give the same file as a source", async () => {
  const plaintext = new Uint8Array(randomBytes(2 * MIB + 100));
  const datasetId = toHex(randomBytes(16));
  const localKey = makeLocalKey();
  for (const lengths of [
    [MIB - 56],
    [MIB - 56, MIB - 16],
    [65_536],
    [3 * MIB],
    [1000, 0, 7, 99_999],
  ]) {
    const chunks = chunksOf(plaintext, lengths);
    const sealing = sealFile({ plaintext: chunks, datasetId, localKey });
    const { bytes, sealed } = await collectSealing(sealing);
    const sample = { plaintext, bytes, sealed, datasetId, localKey };
    assert.deepEqual(openWithTink(sample), plaintext, lengths.join());
    assert.equal(sealed.length, bytes.byteLength);
  }
});

test("a sealing returns the manifest's entries: file id, length and the fixed part's digest", async () => {
  const { bytes, sealed, datasetId, localKey } = await makeSample(new Uint8Array(10));
  const header = parseSealedFileHeader(bytes.subarray(0, 4096));
  assert.equal(sealed.fileId, toHex(header.fileId));
  assert.equal(sealed.digest, toHex(sha256(bytes.subarray(0, 128))));
  assert.deepEqual(header.datasetId, fromHex(datasetId));
  assert.deepEqual(header.wrap.key, localKey.wrapped);
});

test("two sealings of one plaintext share no id, key, salt or ciphertext", async () => {
  const plaintext = new Uint8Array(1000);
  const localKey = makeLocalKey();
  const datasetId = toHex(randomBytes(16));
  const [a, b] = [
    await makeSample(plaintext, { localKey, datasetId }),
    await makeSample(plaintext, { localKey, datasetId }),
  ];
  assert.notEqual(a.sealed.fileId, b.sealed.fileId);
  for (const [from, to] of [
    [48, 80],
    [4097, 4129],
    [4129, 4136],
    [4136, 5136],
  ] as const)
    assert.notDeepEqual(a.bytes.subarray(from, to), b.bytes.subarray(from, to));
});

test("with given randomness a sealing is always the same bytes", async () => {
  const localKey = makeLocalKey();
  const seal = async (): Promise<Uint8Array> => {
    let count = 0;
    const fixed = (length: number): Uint8Array => new Uint8Array(length).fill((count += 1));
    const plaintext = sourceOf(new Uint8Array(100));
    const options = { plaintext, datasetId: "00".repeat(16), localKey, randomBytes: fixed };
    return (await collectSealing(sealFile(options))).bytes;
  };
  assert.deepEqual(await seal(), await seal());
});

test("an error of the plaintext ends the sealing, and nothing is stored", async () => {
  const root = await mkdtemp(join(tmpdir(), "ppml-seal-"));
  try {
    const store = openLocalStore(root);
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(3 * MIB);
      throw new Error("the disk is gone");
    }
    const datasetId = "00".repeat(16);
    const localKey = makeLocalKey();
    const target = { store, name: "sealed" };
    await assert.rejects(sealFileTo(target, { plaintext: failing(), datasetId, localKey }), {
      message: "the disk is gone",
    });
    assert.deepEqual(await Array.fromAsync(store.list("")), []);
    const short = { size: 100, read: () => Promise.resolve(new Uint8Array(50)) };
    await assert.rejects(sealFileTo(target, { plaintext: short, datasetId, localKey }), {
      code: "store.io",
    });
  } finally {
    await rm(root, { recursive: true });
  }
});

test("sealing into a store gives the stored object's etag and length", async () => {
  const root = await mkdtemp(join(tmpdir(), "ppml-seal-"));
  try {
    const store = openLocalStore(root);
    const plaintext = new Uint8Array(randomBytes(3 * MIB));
    const options = {
      plaintext: sourceOf(plaintext),
      datasetId: "00".repeat(16),
      localKey: makeLocalKey(),
    };
    const sealed = await sealFileTo({ store, name: "a/b" }, options);
    const stored = await store.head("a/b");
    assert.equal(stored?.etag, sealed.etag);
    assert.equal(stored?.size, sealed.length);
    const taken = { store, name: "a/b", condition: { ifNoneMatch: true } } as const;
    await assert.rejects(sealFileTo(taken, options), { code: "store.exists" });
  } finally {
    await rm(root, { recursive: true });
  }
});

test("a dataset id of another form is refused", async () => {
  for (const datasetId of ["", "00", "zz".repeat(16)]) {
    const plaintext = sourceOf(new Uint8Array(1));
    const sealing = sealFile({ plaintext, datasetId, localKey: makeLocalKey() });
    await assert.rejects(sealing.next(), /./);
  }
});
