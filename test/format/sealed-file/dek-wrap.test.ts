import assert from "node:assert/strict";
import { createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { test } from "node:test";
import { Secret, toHex } from "../../../src/base/index.ts";
import {
  checkDekCommitment,
  dekCommitment,
  unwrapDek,
  wrapDek,
} from "../../../src/format/sealed-file/dek-wrap.ts";

const context = {
  localKeyId: new Uint8Array(randomBytes(16)),
  fileId: new Uint8Array(randomBytes(16)),
  datasetId: new Uint8Array(randomBytes(16)),
};
const dekBytes = randomBytes(32);
const localKeyBytes = randomBytes(32);
const dek = Secret.copy(dekBytes);
const localKey = Secret.copy(localKeyBytes);
const wrapped = wrapDek(dek, localKey, { context, nonce: randomBytes(12) });

test("a wrapped DEK is nonce, AES-256-GCM ciphertext and tag, bound to key, file and dataset", () => {
  assert.equal(wrapped.byteLength, 60);
  const decipher = createDecipheriv("aes-256-gcm", localKeyBytes, wrapped.subarray(0, 12));
  decipher.setAAD(
    Buffer.concat([
      Buffer.from("ppml dek v1"),
      context.localKeyId,
      context.fileId,
      context.datasetId,
    ]),
  );
  decipher.setAuthTag(wrapped.subarray(44));
  assert.deepEqual(
    Buffer.concat([decipher.update(wrapped.subarray(12, 44)), decipher.final()]),
    dekBytes,
  );
});

test("a DEK is unwrapped to what was wrapped", () => {
  using unwrapped = unwrapDek(wrapped, localKey, context);
  assert.equal(unwrapped.expose(toHex), dekBytes.toString("hex"));
});

test("a wrapped DEK pasted into another file or dataset, or under another local key, is refused", () => {
  const refused = { code: "open.not_authentic" };
  for (const name of ["localKeyId", "fileId", "datasetId"] as const)
    assert.throws(
      () => unwrapDek(wrapped, localKey, { ...context, [name]: new Uint8Array(16) }),
      refused,
    );
  assert.throws(() => unwrapDek(wrapped, Secret.copy(randomBytes(32)), context), refused);
  assert.throws(() => unwrapDek(wrapped, Secret.copy(randomBytes(16)), context), refused);
});

test("every changed byte and other length of a wrapped DEK is refused", () => {
  for (let at = 0; at < 60; at += 1) {
    const changed = Uint8Array.from(wrapped);
    changed[at] = (changed[at] ?? 0) ^ 0x40;
    assert.throws(() => unwrapDek(changed, localKey, context), { code: "open.not_authentic" });
  }
  for (const length of [0, 12, 28, 44, 59])
    assert.throws(() => unwrapDek(wrapped.subarray(0, length), localKey, context), {
      code: "open.not_authentic",
    });
});

test("the commitment is HKDF-SHA256 of the DEK, salted with the file id", () => {
  const expected = hkdfSync("sha256", dekBytes, context.fileId, "ppml dek commitment v1", 32);
  assert.equal(toHex(dekCommitment(dek, context.fileId)), Buffer.from(expected).toString("hex"));
});

test("a DEK that the commitment does not name is refused", () => {
  const commitment = dekCommitment(dek, context.fileId);
  checkDekCommitment(dek, { fileId: context.fileId, commitment });
  const refused = { code: "open.not_authentic" };
  const other = Secret.copy(randomBytes(32));
  assert.throws(() => checkDekCommitment(other, { fileId: context.fileId, commitment }), refused);
  assert.throws(() => checkDekCommitment(dek, { fileId: context.datasetId, commitment }), refused);
});
