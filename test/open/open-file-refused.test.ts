import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import {
  concatBytes,
  fromBase64Url,
  isPpmlError,
  Secret,
  sha256,
  toBase64Url,
  toHex,
} from "../../src/base/index.ts";
import {
  encodeWrapBlock,
  parseSealedFileHeader,
  wrapDek,
} from "../../src/format/sealed-file/index.ts";
import { openSealedFile } from "../../src/open/open-file.ts";
import { tinkDecrypt, tinkEncrypt } from "../format/sealed-file/tink-reference.ts";
import { collect, makeLocalKey, makeSample, sourceOf } from "../seal/sealed-sample.ts";
import type { Sample } from "../seal/sealed-sample.ts";
import {
  assertRefused,
  expectedOf,
  flip,
  MIB,
  open,
  openAll,
  sample,
  sibling,
} from "./open-sample.ts";

test("T: a file forged under the public KEK with a copied fixed part is refused", async () => {
  // The forger takes the fixed part, so that the manifest's digest is right, and a DEK of his own
  // under a local key of his own, which he wraps under the public KEK: the release opens it.
  const fixedPart = sample.bytes.subarray(0, 128);
  const { fileId, datasetId } = parseSealedFileHeader(sample.bytes.subarray(0, 4096));
  const forger = makeLocalKey();
  const dekBytes = randomBytes(32);
  const wrapped = wrapDek(Secret.copy(dekBytes), forger.key, {
    context: { localKeyId: fromBase64Url(forger.wrapped.id), fileId, datasetId },
    nonce: randomBytes(12),
  });
  const wrap = encodeWrapBlock({
    v: 1,
    dek: { keyId: forger.wrapped.id, wrapped: toBase64Url(wrapped) },
    key: forger.wrapped,
  });
  const plaintext = new Uint8Array(sample.plaintext.byteLength);
  const message = { key: dekBytes, associatedData: fixedPart };
  const ciphertext = tinkEncrypt({
    ...message,
    plaintext,
    salt: randomBytes(32),
    prefix: randomBytes(7),
  });
  const forged = concatBytes(fixedPart, wrap, ciphertext);
  assert.deepEqual(tinkDecrypt({ ...message, ciphertext }), plaintext, "the control opens");
  const of = { ...sample, localKey: forger };
  await assert.rejects(open(forged, { of, expected: expectedOf(sample) }), {
    code: "open.not_authentic",
  });
  const dekFor = (): Promise<Secret> => Promise.resolve(Secret.copy(dekBytes));
  await assert.rejects(
    openSealedFile({ source: sourceOf(forged), dekFor, expected: expectedOf(sample) }),
    { code: "open.not_authentic" },
  );
});

test("every truncation at and around a segment border and inside is refused", async () => {
  const length = sample.bytes.byteLength;
  const borders = [4096, 4136, 4152, 4096 + MIB, 4096 + 2 * MIB, 4096 + 3 * MIB, length];
  const cuts = [
    ...borders.flatMap((at) => [at - 17, at - 16, at - 1, at, at + 1, at + 16]),
    0,
    1,
    8,
    128,
    4095,
    5000,
    4096 + 1.5 * MIB,
  ];
  for (const cut of new Set(cuts)) {
    if (cut >= length) continue;
    await assertRefused(sample.bytes.subarray(0, cut), `cut at ${cut}`);
    const manifest = { expected: { length } };
    await assert.rejects(open(sample.bytes.subarray(0, cut), manifest), { code: "open.manifest" });
  }
});

test("an extended file is refused, also by a whole segment", async () => {
  for (const more of [1, 16, 100, MIB - 500, MIB, 2 * MIB]) {
    const extended = concatBytes(sample.bytes, new Uint8Array(randomBytes(more)));
    await assertRefused(extended, `${more} more`);
    const manifest = { expected: { length: sample.bytes.byteLength } };
    await assert.rejects(open(extended, manifest), { code: "open.manifest" });
  }
});

test("reordered, repeated, dropped and spliced segments are refused", async () => {
  const head = sample.bytes.subarray(0, 4136);
  const own = segmentsOf(sample);
  const other = segmentsOf(sibling);
  const place = (order: readonly (readonly [Uint8Array[], number])[]): Uint8Array =>
    concatBytes(head, ...order.map(([from, index]) => from[index] ?? new Uint8Array(0)));
  assert.deepEqual(
    await openAll(
      place([
        [own, 0],
        [own, 1],
        [own, 2],
        [own, 3],
      ]),
    ),
    sample.plaintext,
  );
  const wrong = [
    [
      [own, 0],
      [own, 2],
      [own, 1],
      [own, 3],
    ],
    [
      [own, 0],
      [own, 1],
      [own, 1],
      [own, 3],
    ],
    [
      [own, 0],
      [own, 1],
      [own, 3],
    ],
    [
      [own, 0],
      [own, 1],
      [own, 2],
      [own, 2],
      [own, 3],
    ],
    [
      [own, 0],
      [own, 1],
      [own, 2],
    ],
    [
      [own, 0],
      [other, 1],
      [own, 2],
      [own, 3],
    ],
    [
      [other, 0],
      [own, 1],
      [own, 2],
      [own, 3],
    ],
    [
      [own, 0],
      [own, 1],
      [own, 2],
      [other, 3],
    ],
  ] as const;
  for (const [index, order] of wrong.entries()) await assertRefused(place(order), `order ${index}`);
});

test("the header, fixed part, wrap block or stream header of another file is refused", async () => {
  const [a, b] = [sample.bytes, sibling.bytes];
  await assert.rejects(open(concatBytes(b.subarray(0, 4096), a.subarray(4096))), {
    code: "open.manifest",
  });
  await assert.rejects(open(b), { code: "open.manifest" });
  const pastedWrap = concatBytes(a.subarray(0, 128), b.subarray(128, 4096), a.subarray(4096));
  await assert.rejects(open(pastedWrap), { code: "open.not_authentic" });
  const otherStream = concatBytes(a.subarray(0, 4096), b.subarray(4096));
  await assert.rejects(openAll(otherStream), { code: "open.not_authentic" });
  const otherStart = concatBytes(a.subarray(0, 4096), b.subarray(4096, 4136), a.subarray(4136));
  await assert.rejects(openAll(otherStart), { code: "open.not_authentic" });
});

test("a manifest that names another id or dataset than its digest is refused", async () => {
  const other = "00".repeat(16);
  for (const expected of [{ fileId: other }, { datasetId: other }, { digest: "00".repeat(32) }])
    await assert.rejects(open(sample.bytes, { expected }), { code: "open.manifest" });
});

test("a plaintext file in the place of a sealed one is refused as such", async () => {
  const plain = [
    Buffer.from("name,age\n"),
    Buffer.from("PAR1"),
    new Uint8Array(sample.bytes.byteLength),
    Buffer.from("P,\n"),
  ];
  for (const bytes of plain)
    await assert.rejects(open(bytes, { expected: { length: sample.bytes.byteLength } }), {
      code: "open.plaintext",
    });
});

test("every flipped bit of a file is refused", async () => {
  const small = await makeSample(new Uint8Array(randomBytes(40)));
  const wrapEnd = 132 + new DataView(small.bytes.buffer).getUint32(128, true);
  for (let bit = 0; bit < small.bytes.byteLength * 8; bit += 1) {
    const byte = bit >> 3;
    // The padding is one rule, and the parser's own tests try each of its bytes.
    if (byte >= wrapEnd && byte < 4090 && byte % 97 !== 0) continue;
    const refused = async (): Promise<Uint8Array> =>
      collect((await open(flip(small.bytes, bit), { of: small })).stream());
    await assert.rejects(refused, (error) => isPpmlError(error), `bit ${bit}`);
  }
});

test("a flipped bit anywhere in a long file is refused before its segment comes out", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 4096 * 8, max: sample.bytes.byteLength * 8 - 1 }),
      async (bit) => {
        let position = 0;
        const read = async (): Promise<void> => {
          const opened = await open(flip(sample.bytes, bit));
          for await (const chunk of opened.stream()) {
            const expected = sample.plaintext.subarray(position, position + chunk.byteLength);
            assert.ok(Buffer.from(chunk).equals(expected));
            position += chunk.byteLength;
          }
        };
        await assert.rejects(read, { code: "open.not_authentic" });
      },
    ),
    { numRuns: 25 },
  );
});

test("hostile headers that a manifest vouches for give an error of ours, never another", async () => {
  const hostile = fc.array(fc.tuple(fc.nat(4160), fc.nat(255)), { minLength: 1, maxLength: 6 });
  const small = await makeSample(new Uint8Array(randomBytes(40)));
  await fc.assert(
    fc.asyncProperty(hostile, fc.nat(6000), async (changes, length) => {
      const bytes = new Uint8Array(Math.max(8, length));
      bytes.set(small.bytes.subarray(0, bytes.byteLength));
      for (const [at, value] of changes) if (at < bytes.byteLength) bytes[at] = value;
      const digest = toHex(sha256(bytes.subarray(0, 128)));
      try {
        await collect((await open(bytes, { of: small, expected: { digest } })).stream());
      } catch (error) {
        assert.ok(isPpmlError(error) && /^(?:open|format)\./.test(error.code), String(error));
      }
    }),
    { numRuns: 300 },
  );
});

function segmentsOf(of: Sample): Uint8Array[] {
  return [0, 1, 2, 3].map((index) =>
    of.bytes.subarray(index === 0 ? 4136 : 4096 + index * MIB, 4096 + (index + 1) * MIB),
  );
}
