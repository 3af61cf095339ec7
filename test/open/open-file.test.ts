import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { concatBytes, fromBase64Url, toBase64Url } from "../../src/base/index.ts";
import {
  parseSealedFileHeader,
  rewrapHeader,
  unwrapFileDek,
  wrapDek,
} from "../../src/format/sealed-file/index.ts";
import { openSealedFile } from "../../src/open/open-file.ts";
import { tinkEncrypt } from "../format/sealed-file/tink-reference.ts";
import { collect, makeLocalKey, makeSample, sourceOf } from "../seal/sealed-sample.ts";
import type { LocalKey } from "../seal/sealed-sample.ts";
import { expectedOf, MIB, open, openAll, sample } from "./open-sample.ts";

test("what was sealed is opened, as a stream and by ranges, at all sizes around segment borders", async () => {
  for (const size of [
    0,
    1,
    MIB - 57,
    MIB - 56,
    MIB - 55,
    2 * MIB - 73,
    2 * MIB - 72,
    2 * MIB - 71,
  ]) {
    const of = await makeSample(new Uint8Array(randomBytes(size)));
    const opened = await open(of.bytes, { of });
    assert.equal(opened.size, size);
    assert.equal(opened.plaintextLength, size);
    assert.deepEqual(await collect(opened.stream()), of.plaintext);
    assert.deepEqual(await opened.read(0, size), of.plaintext);
  }
});

test("every range is the slice of the plaintext", async () => {
  const opened = await open(sample.bytes);
  const size = sample.plaintext.byteLength;
  const range = fc
    .tuple(fc.nat(size), fc.nat(size))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
  const nearBorder = fc
    .tuple(
      fc.constantFrom(0, MIB - 56, 2 * MIB - 72, 3 * MIB - 88, 122_880),
      fc.nat(40),
      fc.nat(3000),
    )
    .map(([border, before, length]) => [
      Math.max(0, border - before),
      Math.min(size, Math.max(0, border - before) + length),
    ]);
  await fc.assert(
    fc.asyncProperty(fc.oneof(range, nearBorder), async ([start = 0, end = 0]) => {
      const slice = sample.plaintext.slice(start, end);
      assert.ok(Buffer.from(await opened.read(start, end - start)).equals(slice));
    }),
    { numRuns: 60 },
  );
  for (const [offset, length] of [
    [-1, 1],
    [0, size + 1],
    [size, 1],
    [0.5, 1],
    [0, -1],
    [Number.NaN, 0],
  ] as const)
    await assert.rejects(opened.read(offset, length), { code: "base.out_of_bounds" });
});

test("a range reads only the segments that it lies in, and a run of small ranges reads one once", async () => {
  const source = sourceOf(sample.bytes);
  const { key } = sample.localKey;
  const opened = await openSealedFile({
    source,
    localKeyFor: () => key,
    expected: expectedOf(sample),
  });
  source.reads.length = 0;
  for (let offset = MIB; offset < MIB + 1000; offset += 100) await opened.read(offset, 100);
  assert.deepEqual(source.reads, [`${4096 + MIB}+${MIB}`]);
});

test("a file that Tink wrote behind a header is opened", async () => {
  const header = sample.bytes.subarray(0, 4096);
  using dek = unwrapFileDek(parseSealedFileHeader(header), sample.localKey.key);
  const plaintext = new Uint8Array(randomBytes(2 * MIB));
  const stream = dek.expose((key) =>
    tinkEncrypt({
      key,
      associatedData: header.subarray(0, 128),
      plaintext,
      salt: randomBytes(32),
      prefix: randomBytes(7),
    }),
  );
  assert.deepEqual(await openAll(concatBytes(header, stream)), plaintext);
});

test("a DEK that somebody else unwrapped opens the file; none is open.no_key", async () => {
  const source = sourceOf(sample.bytes);
  const expected = expectedOf(sample);
  const opened = await openSealedFile({
    source,
    expected,
    dekFor: (header) => Promise.resolve(unwrapFileDek(header, sample.localKey.key)),
  });
  assert.deepEqual(await opened.read(0, 10), sample.plaintext.slice(0, 10));
  const none = { source, expected, dekFor: () => Promise.resolve(null) };
  await assert.rejects(openSealedFile(none), { code: "open.no_key" });
  await assert.rejects(openSealedFile({ source, expected, localKeyFor: () => null }), {
    code: "open.no_key",
  });
});

test("a wrong local key is refused as not authentic", async () => {
  const wrong: LocalKey = { ...makeLocalKey(), wrapped: sample.localKey.wrapped };
  await assert.rejects(open(sample.bytes, { of: { ...sample, localKey: wrong } }), {
    code: "open.not_authentic",
  });
});

test("a file is opened after its header was re-wrapped under another local key and KEK", async () => {
  const header = sample.bytes.subarray(0, 4096);
  const { fileId, datasetId, ...parsed } = parseSealedFileHeader(header);
  using dek = unwrapFileDek({ fileId, datasetId, ...parsed }, sample.localKey.key);
  const localKey = makeLocalKey();
  const { id } = localKey.wrapped;
  const context = { localKeyId: fromBase64Url(id), fileId, datasetId };
  const wrapped = wrapDek(dek, localKey.key, { context, nonce: randomBytes(12) });
  const wrap = {
    v: 1,
    dek: { keyId: id, wrapped: toBase64Url(wrapped) },
    key: localKey.wrapped,
  } as const;
  const rewrapped = concatBytes(rewrapHeader(header, wrap), sample.bytes.subarray(4096));
  const opened = await open(rewrapped, { of: { ...sample, localKey } });
  assert.deepEqual(await collect(opened.stream()), sample.plaintext);
  await assert.rejects(open(rewrapped), { code: "open.no_key" });
});

test("a failed read is not remembered: the next one may succeed", async () => {
  let failures = 1;
  const whole = sourceOf(sample.bytes);
  const source = {
    size: whole.size,
    read: (offset: number, length: number): Promise<Uint8Array> => {
      if (offset > 4096 && failures > 0) {
        failures -= 1;
        return Promise.reject(new Error("the network is gone"));
      }
      return whole.read(offset, length);
    },
  };
  const { key } = sample.localKey;
  const opened = await openSealedFile({
    source,
    localKeyFor: () => key,
    expected: expectedOf(sample),
  });
  await assert.rejects(opened.read(0, 10), { message: "the network is gone" });
  assert.deepEqual(await opened.read(0, 10), sample.plaintext.slice(0, 10));
});
