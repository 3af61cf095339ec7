import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeGramineKey,
  encodeSecretResponse,
  isWholeRequest,
} from "../../../src/broker/secret-provisioning/messages.ts";
import { isPpmlError, toHex, utf8 } from "../../../src/base/index.ts";

const REQUEST = utf8("SECRET_PROVISION_RA_TLS_REQUEST_V1\0");
const invalid = (error: unknown): boolean => isPpmlError(error, "broker.invalid_request");

test("a request is whole with its NUL, and not before", () => {
  assert.equal(REQUEST.byteLength, 35);
  for (let length = 0; length < REQUEST.byteLength; length += 1)
    assert.equal(isWholeRequest(REQUEST.subarray(0, length)), false);
  assert.equal(isWholeRequest(REQUEST), true);
});

test("a byte that is another's, and a byte too much, are refused at once", () => {
  for (let offset = 0; offset < REQUEST.byteLength; offset += 1) {
    const changed = Uint8Array.from(REQUEST);
    changed[offset] = (changed[offset] ?? 0) ^ 1;
    assert.throws(() => isWholeRequest(changed), invalid);
    assert.throws(() => isWholeRequest(changed.subarray(0, offset + 1)), invalid);
  }
  assert.throws(() => isWholeRequest(Uint8Array.of(...REQUEST, 0)), invalid);
});

test("a response is Gramine's: its text with NUL, u32 most significant byte first, the secret", () => {
  const response = encodeSecretResponse(Uint8Array.of(1, 2, 3));
  assert.equal(
    toHex(response),
    `${toHex(utf8("SECRET_PROVISION_RA_TLS_RESPONSE_V1:"))}0000000003010203`,
  );
  assert.equal(encodeSecretResponse(new Uint8Array(4096)).byteLength, 37 + 4 + 4096);
  for (const length of [0, 4097])
    assert.throws(() => encodeSecretResponse(new Uint8Array(length)), invalid);
});

test("a key for encrypted files is 32 hex digits and a NUL", () => {
  assert.deepEqual(encodeGramineKey(new Uint8Array(16).fill(0xab)), utf8(`${"ab".repeat(16)}\0`));
  for (const length of [0, 15, 32])
    assert.throws(() => encodeGramineKey(new Uint8Array(length)), invalid);
});
