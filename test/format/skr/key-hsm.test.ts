import assert from "node:assert/strict";
import {
  constants,
  createCipheriv,
  createPrivateKey,
  generateKeyPairSync,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import type { JsonWebKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fromHex, toBase64Url, toHex, utf8 } from "../../../src/base/index.ts";
import { parseKeyHsm, unwrapKeyHsm } from "../../../src/format/skr/key-hsm.ts";
import type { KeyHsmWrap } from "../../../src/format/skr/key-hsm.ts";
import { sharedPath, skipWithout } from "../../shared-data.ts";

type Vector = { enc: KeyHsmWrap; kty: string; key_hsm: string; plaintext: string };

const KEY_ID = "TpmEphemeralEncryptionKey";
const folder = sharedPath("vectors", "attestation", "skr");
const skip = skipWithout(folder);
const json = (name: string): unknown =>
  JSON.parse(readFileSync(join(folder ?? "", name), "utf8")) as unknown;

const tee = generateKeyPairSync("rsa", { modulusLength: 2048 });
const material = new Uint8Array(randomBytes(41));

/** A key_hsm as Key Vault makes it, with parts replaced. */
function keyHsmOf(
  options: { enc?: string; hash?: string; ciphertext?: Uint8Array; changes?: object } = {},
): string {
  const { enc = "RSA_AES_KEY_WRAP_256", hash = "sha256" } = options;
  return toBase64Url(
    utf8(
      JSON.stringify({
        schema_version: "1.0",
        header: { kid: KEY_ID, alg: "dir", enc },
        ciphertext: toBase64Url(options.ciphertext ?? ciphertextOf(hash)),
        ...options.changes,
      }),
    ),
  );
}

function ciphertextOf(hash: string, aesKey = randomBytes(32)): Uint8Array {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const head = publicEncrypt({ key: tee.publicKey, oaepHash: hash, padding }, aesKey);
  const name = `id-aes${aesKey.byteLength * 8}-wrap-pad`;
  const cipher = createCipheriv(name, aesKey, Uint8Array.of(0xa6, 0x59, 0x59, 0xa6));
  return Buffer.concat([head, cipher.update(material), cipher.final()]);
}

const unwrap = (text: string, wrap: KeyHsmWrap = "RSA_AES_KEY_WRAP_256", key = tee.privateKey) => {
  using secret = unwrapKeyHsm({
    keyHsm: parseKeyHsm(text),
    privateKey: key,
    expected: { keyId: KEY_ID, wrap },
  });
  return secret.expose((bytes) => toHex(bytes));
};

test("all nine vectors unwrap to their material", { skip }, () => {
  const key = createPrivateKey({
    key: json("tee-kek.jwk.json") as JsonWebKey,
    format: "jwk",
  });
  const vectors = json("key-hsm-vectors.json") as Vector[];
  assert.equal(vectors.length, 9);
  for (const { enc, kty, key_hsm, plaintext } of vectors) {
    assert.equal(unwrap(key_hsm, enc, key), plaintext, `${enc} ${kty}`);
    if (kty !== "oct-HSM") {
      const { asymmetricKeyType } = createPrivateKey({
        key: Buffer.from(fromHex(plaintext)),
        format: "der",
        type: "pkcs8",
      });
      assert.equal(asymmetricKeyType, kty === "EC-HSM" ? "ec" : "rsa");
    }
    const others = (["CKM_RSA_AES_KEY_WRAP", "RSA_AES_KEY_WRAP_256"] as const).filter(
      (other) => other !== enc,
    );
    for (const other of others)
      assert.throws(() => unwrap(key_hsm, other, key), { code: "format.invalid" });
  }
});

test("each wrap round-trips, and one under another wrap's name does not unwrap", () => {
  const hashes = {
    CKM_RSA_AES_KEY_WRAP: "sha1",
    RSA_AES_KEY_WRAP_256: "sha256",
    RSA_AES_KEY_WRAP_384: "sha384",
  } as const;
  for (const enc of Object.keys(hashes) as KeyHsmWrap[])
    for (const [other, hash] of Object.entries(hashes)) {
      const text = keyHsmOf({ enc, hash });
      if (other === enc) assert.equal(unwrap(text, enc), toHex(material));
      else assert.throws(() => unwrap(text, enc), { code: "open.not_authentic" });
    }
});

test("every flipped byte and every truncation of the ciphertext is refused with the one error", () => {
  const good = ciphertextOf("sha256");
  assert.equal(unwrap(keyHsmOf({ ciphertext: good })), toHex(material), "control");
  const refused = (ciphertext: Uint8Array): void =>
    assert.throws(() => unwrap(keyHsmOf({ ciphertext })), { code: "open.not_authentic" });
  for (let at = 0; at < good.length; at += 1) {
    const changed = Uint8Array.from(good);
    changed[at] = (changed[at] ?? 0) ^ 0x40;
    refused(changed);
  }
  for (let length = 0; length < good.length; length += 3) refused(good.subarray(0, length));
  refused(Buffer.concat([good, new Uint8Array(8)]));
});

test("a key for another TEE, and an AES key of another size, are refused", () => {
  const other = generateKeyPairSync("rsa", { modulusLength: 2048 });
  assert.throws(() => unwrap(keyHsmOf(), "RSA_AES_KEY_WRAP_256", other.privateKey), {
    code: "open.not_authentic",
  });
  const ciphertext = ciphertextOf("sha256", randomBytes(16));
  assert.throws(() => unwrap(keyHsmOf({ ciphertext })), { code: "open.not_authentic" });
});

test("another key id, a public key and a key that is not RSA are refused", () => {
  const header = { kid: "other", alg: "dir", enc: "RSA_AES_KEY_WRAP_256" };
  assert.throws(() => unwrap(keyHsmOf({ changes: { header } })), {
    code: "format.invalid",
    message: /expected a key wrapped for "TpmEphemeralEncryptionKey"/,
  });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  for (const key of [tee.publicKey, ec])
    assert.throws(() => unwrap(keyHsmOf(), "RSA_AES_KEY_WRAP_256", key), {
      code: "format.invalid",
      message: /the TEE's private RSA key/,
    });
});

describe("a key_hsm of no such form is refused", () => {
  for (const [name, text] of Object.entries({
    empty: "",
    "not base64url": "***",
    padded: `${keyHsmOf()}=`,
    "no JSON": toBase64Url(utf8("{")),
    "another version": keyHsmOf({ changes: { schema_version: "2.0" } }),
    "another wrap": keyHsmOf({ enc: "RSA1_5" }),
    "more members": keyHsmOf({ changes: { key: "AA" } }),
    "another alg": keyHsmOf({ changes: { header: { kid: KEY_ID, alg: "RSA-OAEP", enc: "x" } } }),
    "a ciphertext that is no base64url": keyHsmOf({ changes: { ciphertext: "AB" } }),
  }))
    test(name, () => assert.throws(() => parseKeyHsm(text), { code: "format.invalid" }));
  test("too long", () =>
    assert.throws(() => parseKeyHsm("A".repeat(70_000)), { code: "format.too_large" }));
});
