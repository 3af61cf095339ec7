import assert from "node:assert/strict";
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { toHex } from "../../../src/base/index.ts";
import { makeEnclaveKey, mrSignerOf } from "../../../src/provision/enclave/enclave-key.ts";
import { textOf } from "../bytes.ts";

test("an enclave key is RSA-3072 with exponent 3 in PKCS#1, as SIGSTRUCT and Gramine demand", async () => {
  using key = await makeEnclaveKey();
  const pem = textOf(key.pem);
  assert.match(pem, /^-----BEGIN RSA PRIVATE KEY-----\n[^]+\n-----END RSA PRIVATE KEY-----\n$/);
  const { asymmetricKeyDetails } = createPrivateKey(pem);
  assert.equal(asymmetricKeyDetails?.modulusLength, 3072);
  assert.equal(asymmetricKeyDetails.publicExponent, 3n);
});

test("MRSIGNER is SHA-256 of the modulus with its last byte first", async () => {
  using key = await makeEnclaveKey();
  const { n = "" } = createPublicKey(textOf(key.pem)).export({ format: "jwk" });
  let modulus = BigInt(`0x${Buffer.from(n, "base64url").toString("hex")}`);
  const bytes = new Uint8Array(384);
  for (let index = 0; index < 384; index += 1, modulus >>= 8n)
    bytes[index] = Number(modulus & 255n);
  assert.equal(modulus, 0n);
  assert.equal(toHex(key.mrSigner), createHash("sha256").update(bytes).digest("hex"));
});

test("MRSIGNER of a key of another length is refused", () => {
  for (const modulusLength of [2048, 4096])
    assert.throws(() => mrSignerOf(generateKeyPairSync("rsa", { modulusLength }).publicKey), {
      code: "provision.input",
    });
});

test("a disposed enclave key is gone", async () => {
  const key = await makeEnclaveKey();
  key[Symbol.dispose]();
  assert.throws(() => textOf(key.pem), /disposed/);
});
