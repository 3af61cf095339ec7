import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { concatBytes, isPpmlError, sha256, toBase64Url, toHex } from "../../../src/base/index.ts";
import {
  encodeFixedPart,
  encodeWrapBlock,
  fixedPartDigest,
  hasSealedFileMagic,
  parseSealedFileHeader,
  rewrapHeader,
} from "../../../src/format/sealed-file/header.ts";
import type { SealedFileWrap } from "../../../src/format/sealed-file/header.ts";

const fileId = new Uint8Array(16).fill(0xa1);
const datasetId = new Uint8Array(16).fill(0xb2);
const commitment = new Uint8Array(32).fill(0xc3);
const wrap = wrapOf({});

function wrapOf(options: {
  readonly kekId?: string;
  readonly modulusBytes?: number;
}): SealedFileWrap {
  const id = toBase64Url(new Uint8Array(16).fill(1));
  return {
    v: 1,
    dek: { keyId: id, wrapped: toBase64Url(new Uint8Array(60).fill(2)) },
    key: {
      id,
      kekId: options.kekId ?? "flights",
      kekVersion: "0123456789abcdef".repeat(2),
      wrapped: toBase64Url(new Uint8Array(options.modulusBytes ?? 384).fill(3)),
    },
  };
}

function header(): Uint8Array {
  return concatBytes(encodeFixedPart({ fileId, datasetId, commitment }), encodeWrapBlock(wrap));
}

/** The header with another JSON text in its wrap block, and its right length. */
function headerWith(json: string): Uint8Array {
  const bytes = Uint8Array.from(header());
  bytes.fill(0, 128);
  new DataView(bytes.buffer).setUint32(128, json.length, true);
  bytes.set(Buffer.from(json), 132);
  return bytes;
}

test("the header is byte for byte what docs/format-file.md gives", () => {
  const fixed = [
    "50504d4c5346310a", // PPMLSF1\n
    "0100", // version
    "0100", // algorithm
    "00000000",
    "a1".repeat(16),
    "b2".repeat(16),
    "c3".repeat(32),
    "00".repeat(48),
  ].join("");
  const json = JSON.stringify({
    dek: { keyId: wrap.dek.keyId, wrapped: wrap.dek.wrapped },
    key: {
      id: wrap.key.id,
      kekId: "flights",
      kekVersion: wrap.key.kekVersion,
      wrapped: wrap.key.wrapped,
    },
    v: 1,
  });
  const expected = Buffer.alloc(4096);
  expected.write(fixed, "hex");
  expected.writeUInt32LE(json.length, 128);
  expected.write(json, 132);
  assert.equal(toHex(header()), expected.toString("hex"));
});

test("a header is parsed to what it was encoded from", () => {
  const parsed = parseSealedFileHeader(header());
  assert.deepEqual(parsed.fileId, fileId);
  assert.deepEqual(parsed.datasetId, datasetId);
  assert.deepEqual(parsed.commitment, commitment);
  assert.deepEqual(parsed.wrap, wrap);
  assert.deepEqual(parsed.fixedPart, header().subarray(0, 128));
  assert.deepEqual(fixedPartDigest(header()), sha256(header().subarray(0, 128)));
});

test("re-wrapping changes the wrap block and nothing of the fixed part", () => {
  const other = wrapOf({ kekId: "flights-2", modulusBytes: 512 });
  const rewrapped = rewrapHeader(header(), other);
  assert.deepEqual(rewrapped.subarray(0, 128), header().subarray(0, 128));
  assert.deepEqual(parseSealedFileHeader(rewrapped).wrap, other);
  assert.deepEqual(rewrapHeader(rewrapped, wrap), header());
});

test("the longest KEK id and an 8192-bit KEK fit into the wrap block", () => {
  const long = wrapOf({ kekId: "k".repeat(200), modulusBytes: 1024 });
  const bytes = concatBytes(
    encodeFixedPart({ fileId, datasetId, commitment }),
    encodeWrapBlock(long),
  );
  assert.deepEqual(parseSealedFileHeader(bytes).wrap, long);
});

test("every changed bit of the fixed part's own fields and of the padding is refused", () => {
  const jsonEnd = 132 + new DataView(header().buffer).getUint32(128, true);
  for (let at = 0; at < 4096; at += 1) {
    if ((at >= 16 && at < 80) || (at >= 128 && at < jsonEnd)) continue;
    const changed = Uint8Array.from(header());
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    assert.throws(() => parseSealedFileHeader(changed), /./, `byte ${at}`);
  }
});

test("an unknown version or algorithm is told apart from an invalid header", () => {
  for (const at of [8, 9, 10, 11]) {
    const changed = Uint8Array.from(header());
    changed[at] = 2;
    assert.throws(() => parseSealedFileHeader(changed), { code: "format.unsupported" });
  }
});

test("every truncation and extension of the header is refused", () => {
  for (const length of [0, 7, 8, 127, 128, 131, 132, 700, 4095])
    assert.throws(() => parseSealedFileHeader(header().subarray(0, length)), {
      code: "format.invalid",
    });
  assert.throws(() => parseSealedFileHeader(concatBytes(header(), new Uint8Array(1))), {
    code: "format.invalid",
  });
});

test("a wrap block that is not canonical, strict JSON of its schema is refused", () => {
  const json = JSON.stringify(parseSealedFileHeader(headerWith(canonicalText())).wrap);
  assert.notEqual(json, canonicalText(), "the control differs in the order of its members");
  const texts = [
    json,
    canonicalText().replace(',"v":1', ', "v":1'),
    canonicalText().replace('"v":1', '"v":2'),
    canonicalText().replace('"v":1', '"v":1,"w":1'),
    canonicalText().replace('"v":1', '"v":1,"v":1'),
    canonicalText().replace(/"keyId":"[^"]*"/, `"keyId":"${"B".repeat(22)}"`),
    canonicalText().replace(wrap.dek.wrapped, wrap.dek.wrapped.slice(4)),
    canonicalText().replaceAll(wrap.key.id, `${wrap.key.id.slice(0, -1)}B`),
    canonicalText().replace(wrap.key.wrapped, `${wrap.key.wrapped}A`),
    `${canonicalText()} `,
    "[".repeat(3000),
    "null",
    "",
  ];
  for (const text of texts)
    assert.throws(
      () => parseSealedFileHeader(headerWith(text)),
      (error) => isPpmlError(error) && error.code.startsWith("format."),
      text.slice(0, 80),
    );
});

test("a length of the wrap block beyond the header is refused", () => {
  for (const length of [3965, 4096, 0x7fffffff, 0xffffffff]) {
    const changed = Uint8Array.from(header());
    new DataView(changed.buffer).setUint32(128, length, true);
    assert.throws(() => parseSealedFileHeader(changed), { code: "format.invalid" });
  }
});

test("hostile headers give an error of ours, never another", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 4096, maxLength: 4096 }), onlyOurs), {
    numRuns: 50,
  });
  const changes = fc.array(fc.tuple(fc.nat(4095), fc.nat(255)), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(changes, (list) => {
      const bytes = Uint8Array.from(header());
      for (const [at, value] of list) bytes[at] = value;
      onlyOurs(bytes);
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.json(), (json) => {
      onlyOurs(headerWith(json.slice(0, 3000)));
    }),
    { numRuns: 200 },
  );
});

test("the magic is known from its beginning on, and plain files are not taken for it", () => {
  assert.ok(hasSealedFileMagic(header()));
  assert.ok(hasSealedFileMagic(header().subarray(0, 3)));
  assert.ok(!hasSealedFileMagic(Buffer.from("PAR1")));
  assert.ok(!hasSealedFileMagic(randomBytes(1).fill(0)));
});

test("ids and commitments of another length are not encoded", () => {
  const short = new Uint8Array(15);
  const refused = { code: "format.invalid" };
  assert.throws(() => encodeFixedPart({ fileId: short, datasetId, commitment }), refused);
  assert.throws(() => encodeFixedPart({ fileId, datasetId: short, commitment }), refused);
  assert.throws(() => encodeFixedPart({ fileId, datasetId, commitment: short }), refused);
});

function canonicalText(): string {
  const length = new DataView(header().buffer).getUint32(128, true);
  return Buffer.from(header().subarray(132, 132 + length)).toString("utf8");
}

function onlyOurs(bytes: Uint8Array): void {
  try {
    parseSealedFileHeader(bytes);
  } catch (error) {
    assert.ok(isPpmlError(error) && error.code.startsWith("format."), String(error));
  }
}
