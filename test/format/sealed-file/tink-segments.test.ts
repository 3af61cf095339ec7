import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { concatBytes, Secret } from "../../../src/base/index.ts";
import {
  CIPHERTEXT_SEGMENT_BYTES,
  ciphertextLength,
  deriveStreamKey,
  encodeStreamHeader,
  openSegment,
  plaintextLength,
  sealSegment,
  segmentAt,
  segmentCount,
  segmentIndexOf,
  STREAM_HEADER_BYTES,
} from "../../../src/format/sealed-file/tink-segments.ts";
import { tinkDecrypt, tinkEncrypt } from "./tink-reference.ts";

const FIRST = CIPHERTEXT_SEGMENT_BYTES - 16 - 40;
const OTHER = CIPHERTEXT_SEGMENT_BYTES - 16;
const BORDERS = [
  0,
  1,
  FIRST - 1,
  FIRST,
  FIRST + 1,
  FIRST + OTHER - 1,
  FIRST + OTHER,
  FIRST + OTHER + 1,
];
const associatedData = randomBytes(128);
const salt = randomBytes(32);
const prefix = randomBytes(7);
const key = randomBytes(32);

function stream() {
  return deriveStreamKey(Secret.copy(key), encodeStreamHeader(salt, prefix), associatedData);
}

function derive(header: Uint8Array, data: Uint8Array, dek: Uint8Array) {
  return deriveStreamKey(Secret.copy(dek), header, data);
}

function sealAll(plaintext: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [encodeStreamHeader(salt, prefix)];
  for (let index = 0; index < segmentCount(plaintext.byteLength); index += 1) {
    const segment = segmentAt(index, plaintext.byteLength);
    const end = segment.plaintextOffset + segment.plaintextLength;
    parts.push(...sealSegment(stream(), segment, plaintext.subarray(segment.plaintextOffset, end)));
  }
  return concatBytes(...parts);
}

test("the stream is byte for byte what Tink's specification gives, at all segment borders", () => {
  const source = randomBytes(FIRST + OTHER + 1);
  for (const size of BORDERS) {
    const plaintext = source.subarray(0, size);
    const ours = sealAll(plaintext);
    assert.deepEqual(ours, tinkEncrypt({ key, associatedData, plaintext, salt, prefix }));
    assert.deepEqual(
      tinkDecrypt({ key, associatedData, ciphertext: ours }),
      new Uint8Array(plaintext),
    );
    assert.equal(ours.byteLength, ciphertextLength(size));
  }
});

test("segments that the second implementation sealed are opened one by one", () => {
  const plaintext = randomBytes(FIRST + OTHER + 5);
  const ciphertext = tinkEncrypt({ key, associatedData, plaintext, salt, prefix });
  for (const index of [2, 0, 1]) {
    const segment = segmentAt(index, plaintext.byteLength);
    const end = segment.ciphertextOffset + segment.ciphertextLength;
    const opened = openSegment(
      stream(),
      segment,
      ciphertext.subarray(segment.ciphertextOffset, end),
    );
    const expected = plaintext.subarray(
      segment.plaintextOffset,
      segment.plaintextOffset + segment.plaintextLength,
    );
    assert.deepEqual(concatBytes(...opened), new Uint8Array(expected));
  }
});

test("plaintext and ciphertext lengths are arithmetic, both ways", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 45 }), (size) => {
      assert.equal(plaintextLength(ciphertextLength(size)), size);
    }),
  );
  for (const size of BORDERS) assert.equal(plaintextLength(ciphertextLength(size)), size);
});

test("every length either belongs to one plaintext or is refused", () => {
  const possible = new Set(BORDERS.map(ciphertextLength));
  const around = [...possible].flatMap((length) =>
    Array.from({ length: 41 }, (_, index) => length - 20 + index),
  );
  for (const length of [...around, 0, 39, 55]) {
    let plaintext: number | null = null;
    try {
      plaintext = plaintextLength(length);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "format.invalid");
    }
    if (plaintext !== null) assert.equal(ciphertextLength(plaintext), length);
    else assert.ok(!possible.has(length), `${length}`);
  }
  assert.throws(() => plaintextLength(Number.NaN), { code: "format.invalid" });
  assert.throws(() => ciphertextLength(2 ** 52), { code: "format.too_large" });
});

test("segments lie side by side, cover the plaintext and only the last one is marked so", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5 * CIPHERTEXT_SEGMENT_BYTES }), (size) => {
      let plaintextEnd = 0;
      let ciphertextEnd = STREAM_HEADER_BYTES;
      for (let index = 0; index < segmentCount(size); index += 1) {
        const segment = segmentAt(index, size);
        assert.equal(segment.plaintextOffset, plaintextEnd);
        assert.equal(segment.ciphertextOffset, ciphertextEnd);
        assert.equal(segment.last, index === segmentCount(size) - 1);
        assert.ok(segment.plaintextLength > 0 || size === 0);
        plaintextEnd += segment.plaintextLength;
        ciphertextEnd += segment.ciphertextLength;
        if (!segment.last) assert.equal(ciphertextEnd % CIPHERTEXT_SEGMENT_BYTES, 0);
        if (size > 0) assert.equal(segmentIndexOf(segment.plaintextOffset), index);
        if (size > 0) assert.equal(segmentIndexOf(plaintextEnd - 1), index);
      }
      assert.equal(plaintextEnd, size);
      assert.equal(ciphertextEnd, ciphertextLength(size));
    }),
  );
});

test("a segment under another index, last flag, associated data, salt, prefix or key is refused", () => {
  const segment = concatBytes(
    ...sealSegment(stream(), { index: 3, last: false }, randomBytes(100)),
  );
  const header = encodeStreamHeader(salt, prefix);
  const place = { index: 3, last: false };
  const refused = { code: "open.not_authentic" };
  assert.equal(openSegment(stream(), place, segment).length, 1);
  assert.throws(() => openSegment(stream(), { index: 2, last: false }, segment), refused);
  assert.throws(() => openSegment(stream(), { index: 3, last: true }, segment), refused);
  const others = [
    derive(header, randomBytes(128), key),
    derive(encodeStreamHeader(randomBytes(32), prefix), associatedData, key),
    derive(encodeStreamHeader(salt, randomBytes(7)), associatedData, key),
    derive(header, associatedData, randomBytes(32)),
  ];
  for (const other of others) assert.throws(() => openSegment(other, place, segment), refused);
});

test("every flipped bit and every truncation of a segment is refused", () => {
  const segment = concatBytes(...sealSegment(stream(), { index: 0, last: true }, randomBytes(20)));
  for (let bit = 0; bit < segment.byteLength * 8; bit += 1) {
    const changed = Uint8Array.from(segment);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.throws(() => openSegment(stream(), { index: 0, last: true }, changed), {
      code: "open.not_authentic",
    });
  }
  for (let length = 0; length < segment.byteLength; length += 1)
    assert.throws(
      () => openSegment(stream(), { index: 0, last: true }, segment.subarray(0, length)),
      { code: "open.not_authentic" },
    );
});

test("a stream header of another length byte or length is refused", () => {
  const header = encodeStreamHeader(salt, prefix);
  const other = Uint8Array.from(header);
  other[0] = 24;
  const refused = { code: "open.not_authentic" };
  using dek = Secret.copy(key);
  assert.throws(() => deriveStreamKey(dek, other, associatedData), refused);
  assert.throws(() => deriveStreamKey(dek, header.subarray(0, 39), associatedData), refused);
});
