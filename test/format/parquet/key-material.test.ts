import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromUtf8, toBase64Url, utf8 } from "../../../src/base/bytes.ts";
import { type ErrorCode } from "../../../src/base/error-codes.ts";
import { isPpmlError } from "../../../src/base/error.ts";
import { Secret } from "../../../src/base/secret.ts";
import {
  encodeKeyMaterial,
  parseKeyMaterial,
  toKeyMaterial,
  toWrappedLocalKey,
  unwrapDek,
  unwrapTableDek,
  wrapDek,
} from "../../../src/format/parquet/index.ts";
import type { WrappedLocalKey } from "../../../src/format/kek.ts";

const is = (code: ErrorCode) => (error: unknown) => isPpmlError(error, code);
const localKeyId = Uint8Array.from({ length: 16 }, (_, index) => 240 + index);
const LOCAL: WrappedLocalKey = {
  id: toBase64Url(localKeyId),
  kekId: "people.sensitive",
  kekVersion: "0123456789abcdef".repeat(2),
  wrapped: toBase64Url(new Uint8Array(384).fill(5)),
};
const local = (): Secret => Secret.take(new Uint8Array(32).fill(1));
const dek = (): Secret => Secret.take(new Uint8Array(32).fill(2));
const wrapped = wrapDek({
  dek: dek(),
  localKey: local(),
  localKeyId,
  randomBytes: (length) => new Uint8Array(length).fill(3),
});

test("our key material has the members that docs/format-table.md gives, in order", () => {
  const material = toKeyMaterial({ localKey: LOCAL, wrappedDek: wrapped, isFooterKey: true });
  const base64 = Buffer.from(wrapped).toString("base64");
  assert.equal(
    fromUtf8(encodeKeyMaterial(material)),
    '{"keyMaterialType":"PKMT1","internalStorage":true,"isFooterKey":true,' +
      '"kmsInstanceID":"ppml","kmsInstanceURL":"DEFAULT","masterKeyID":"people.sensitive",' +
      '"doubleWrapping":true,"keyEncryptionKeyID":"8PHy8/T19vf4+fr7/P3+/w==",' +
      `"wrappedKEK":"${LOCAL.kekVersion}.${LOCAL.wrapped}","wrappedDEK":"${base64}"}`,
  );
  const column = toKeyMaterial({ localKey: LOCAL, wrappedDek: wrapped, isFooterKey: false });
  assert.ok(!fromUtf8(encodeKeyMaterial(column)).includes("kmsInstance"));
});

test("key material comes back as it was, and so does the wrapped local key", () => {
  for (const isFooterKey of [true, false]) {
    const material = toKeyMaterial({ localKey: LOCAL, wrappedDek: wrapped, isFooterKey });
    const parsed = parseKeyMaterial(encodeKeyMaterial(material));
    assert.deepEqual(parsed, material);
    assert.deepEqual(toWrappedLocalKey(parsed), LOCAL);
  }
  const single = {
    doubleWrapping: false,
    isFooterKey: false,
    kmsInstanceId: null,
    kmsInstanceUrl: null,
    masterKeyId: "k",
    wrappedDek: "whatever the KMS gave",
  } as const;
  assert.deepEqual(parseKeyMaterial(encodeKeyMaterial(single)), single);
  assert.throws(() => toWrappedLocalKey(single), is("format.unsupported"));
  assert.throws(() => unwrapTableDek(single, local), is("format.unsupported"));
});

test("a DEK is unwrapped with the right local key and id only", () => {
  assert.equal(wrapped.byteLength, 12 + 32 + 16);
  const material = toKeyMaterial({ localKey: LOCAL, wrappedDek: wrapped, isFooterKey: false });
  const asked: unknown[] = [];
  using opened = unwrapTableDek(material, (wanted) => {
    asked.push(wanted);
    return local();
  });
  assert.deepEqual(asked, [{ id: LOCAL.id, kekId: LOCAL.kekId }]);
  opened.expose((bytes) => assert.deepEqual([...bytes], Array<number>(32).fill(2)));
  const wrong = Secret.take(new Uint8Array(32).fill(9));
  const not = is("open.not_authentic");
  assert.throws(() => unwrapDek({ wrapped, localKey: wrong, localKeyId }), not);
  const otherId = localKeyId.map((byte) => byte ^ 1);
  assert.throws(() => unwrapDek({ wrapped, localKey: local(), localKeyId: otherId }), not);
  for (let at = 0; at < wrapped.byteLength; at += 1) {
    const flipped = wrapped.map((byte, index) => (index === at ? byte ^ 1 : byte));
    assert.throws(() => unwrapDek({ wrapped: flipped, localKey: local(), localKeyId }), not);
    const cut = wrapped.subarray(0, at);
    assert.throws(() => unwrapDek({ wrapped: cut, localKey: local(), localKeyId }), not);
  }
});

test("other writers' key sizes are wrapped and unwrapped", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(16, 24, 32),
      fc.constantFrom(16, 24, 32),
      fc.uint8Array({ maxLength: 40 }),
      (localBytes, dekBytes, id) => {
        const localKey = Secret.take(new Uint8Array(localBytes).fill(4));
        const secret = Secret.take(new Uint8Array(dekBytes).fill(6));
        const bytes = wrapDek({ dek: secret, localKey, localKeyId: id });
        using back = unwrapDek({ wrapped: bytes, localKey, localKeyId: id });
        assert.equal(back.byteLength, dekBytes);
      },
    ),
  );
});

test("external storage, other types and broken JSON are told apart", () => {
  const json = JSON.parse(
    fromUtf8(
      encodeKeyMaterial(toKeyMaterial({ localKey: LOCAL, wrappedDek: wrapped, isFooterKey: true })),
    ),
  ) as Record<string, unknown>;
  const parse = (changes: Record<string, unknown>) => () =>
    parseKeyMaterial(utf8(JSON.stringify({ ...json, ...changes })));
  assert.throws(parse({ internalStorage: false, keyReference: "x" }), is("format.unsupported"));
  assert.throws(parse({ keyMaterialType: "PKMT2" }), is("format.unsupported"));
  assert.throws(parse({ masterKeyID: undefined }), is("format.invalid"));
  assert.throws(parse({ doubleWrapping: "yes" }), is("format.invalid"));
  assert.throws(parse({ wrappedDEK: "not base64!" }), is("format.invalid"));
  assert.throws(parse({ keyEncryptionKeyID: "_-_-" }), is("format.invalid"));
  assert.throws(parse({ pad: "x".repeat(70_000) }), is("format.too_large"));
  assert.throws(() => parseKeyMaterial(utf8("{")), is("format.invalid"));
  assert.throws(() => parseKeyMaterial(Uint8Array.of(0xff)), is("format.invalid"));
  assert.throws(() => parseKeyMaterial(utf8("null")), is("format.invalid"));
  const more = parse({ anotherWriters: 1 })();
  assert.equal(more.masterKeyId, "people.sensitive");
  const foreign = parse({ wrappedKEK: "AAAA" })();
  assert.throws(() => toWrappedLocalKey(foreign), is("format.unsupported"));
});

test("random text is refused with one error", () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      try {
        parseKeyMaterial(utf8(text));
      } catch (error) {
        assert.ok(isPpmlError(error));
        assert.match(error.code, /^format\./);
      }
    }),
  );
});
