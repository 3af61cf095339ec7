import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { test } from "node:test";
import { utf8 } from "../../../src/base/index.ts";
import {
  importIssuerSpki,
  importP256Point,
  importSpki,
  isP256,
  verifyP256,
  verifyP256Raw,
} from "../../../src/attest/x509/p256.ts";

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const data = utf8("signed");
const spkiOf = (key: typeof publicKey): Uint8Array =>
  new Uint8Array(key.export({ format: "der", type: "spki" }));

/** A signature as r and s whose bytes fit `wanted`. */
function rawSignature(wanted: (signature: Uint8Array) => boolean): Uint8Array {
  for (let tries = 0; tries < 20_000; tries += 1) {
    const raw = sign("sha256", data, { key: privateKey, dsaEncoding: "ieee-p1363" });
    if (wanted(raw)) return new Uint8Array(raw);
  }
  throw new Error("no such signature in 20,000");
}

const r = (raw: Uint8Array): number => raw[0] ?? 0;
const s = (raw: Uint8Array): number => raw[32] ?? 0;

test("r and s verify with and without leading zeros and high bits", () => {
  for (const wanted of [
    (raw: Uint8Array) => r(raw) === 0,
    (raw: Uint8Array) => s(raw) === 0,
    (raw: Uint8Array) => r(raw) >= 0x80 && s(raw) < 0x80,
    (raw: Uint8Array) => r(raw) < 0x80 && s(raw) >= 0x80,
  ]) {
    const raw = rawSignature(wanted);
    assert.ok(verifyP256Raw(data, publicKey, raw));
    assert.ok(!verifyP256Raw(utf8("other"), publicKey, raw));
  }
});

test("bytes that are no signature are refused as Node refuses them", () => {
  const raw = rawSignature(() => true);
  for (const bytes of [
    new Uint8Array(64),
    new Uint8Array(64).fill(0xff),
    Uint8Array.from([...raw.subarray(32), ...raw.subarray(0, 32)]),
    Uint8Array.from([...new Uint8Array(32), ...raw.subarray(32)]),
  ]) {
    const options = { key: publicKey, dsaEncoding: "ieee-p1363" } as const;
    assert.equal(verifyP256Raw(data, publicKey, bytes), verify("sha256", data, options, bytes));
    assert.ok(!verifyP256Raw(data, publicKey, bytes));
  }
  for (const length of [0, 63, 65, 128])
    assert.ok(!verifyP256Raw(data, publicKey, new Uint8Array(length)));
});

test("keys of other curves and kinds never verify", () => {
  for (const pair of [
    generateKeyPairSync("ec", { namedCurve: "P-384" }),
    generateKeyPairSync("ec", { namedCurve: "secp256k1" }),
    generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ]) {
    const signature = sign("sha256", data, pair.privateKey);
    assert.ok(verify("sha256", data, pair.publicKey, signature));
    for (const key of [pair.publicKey, importSpki(spkiOf(pair.publicKey))]) {
      assert.ok(!isP256(key));
      assert.ok(!verifyP256(data, key, signature));
    }
  }
});

test("a key is the same imported as its point, its SubjectPublicKeyInfo, or kept", () => {
  const spki = spkiOf(publicKey);
  for (const key of [
    importSpki(spki),
    importIssuerSpki(spki),
    importP256Point(spki.subarray(27)),
  ]) {
    assert.ok(isP256(key));
    assert.ok(createPublicKey(privateKey).equals(key));
  }
  assert.equal(importIssuerSpki(spki), importIssuerSpki(Uint8Array.from(spki)));
  assert.throws(() => importP256Point(new Uint8Array(64).fill(1)));
  assert.throws(() => importP256Point(new Uint8Array(63)));
});

test("kept keys are bounded, and the oldest is imported anew", () => {
  const first = importIssuerSpki(spkiOf(publicKey));
  for (let index = 0; index < 40; index += 1)
    importIssuerSpki(spkiOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey));
  const again = importIssuerSpki(spkiOf(publicKey));
  assert.notEqual(again, first);
  assert.ok(again.equals(first));
});
