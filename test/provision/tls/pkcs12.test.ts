import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { createSecureContext } from "node:tls";
import { fromHex, Secret, toHex } from "../../../src/base/index.ts";
import {
  DER,
  derContent,
  readDer,
  readDerSequence,
  readDerSmallInteger,
} from "../../../src/attest/der/read.ts";
import { issueSelfSigned, keyIdOf } from "../../../src/provision/tls/certificate.ts";
import { derivePkcs12MacKey, encodePkcs12 } from "../../../src/provision/tls/pkcs12.ts";
import { encodeSubject } from "../../../src/provision/tls/subject.ts";
import { bytesOf, secretOf } from "../bytes.ts";

const PASSWORD = "Tr0ub4dor and 3";
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const certificate = issueSelfSigned({
  name: encodeSubject("CN=test"),
  key: privateKey,
  serverNames: ["localhost"],
  notBeforeMs: Date.now() - 1000,
  notAfterMs: Date.now() + 86_400_000,
});

async function keystore(iterations = 1000): Promise<Buffer> {
  using key = Secret.take(privateKey.export({ format: "der", type: "pkcs8" }));
  using password = secretOf(PASSWORD);
  const entry = { privateKey: key, certificate, alias: "server", keyId: keyIdOf(privateKey) };
  return Buffer.from(await encodePkcs12(entry, { password, iterations }));
}

test("the MAC's key is what OpenSSL derives", () => {
  // openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt id:3 -kdfopt iter:1000 PKCS12KDF, with
  // hexpass: UTF-16BE of abc123XYZ and 0000, hexsalt: 00 to 0f.
  using password = secretOf("abc123XYZ");
  using key = derivePkcs12MacKey({
    password,
    salt: fromHex("000102030405060708090a0b0c0d0e0f"),
    iterations: 1000,
  });
  assert.equal(
    toHex(bytesOf(key)),
    "628c6c52736f2a3255aa955886fa5b494f1d80f8daeda5c4902abfdb5482b807",
  );
});

test("T206: a wrong password opens nothing", async () => {
  const pfx = await keystore();
  createSecureContext({ pfx, passphrase: PASSWORD });
  for (const passphrase of ["", PASSWORD.slice(1), `${PASSWORD} `, PASSWORD.toLowerCase()])
    assert.throws(() => createSecureContext({ pfx, passphrase }), /mac verify failure/);
});

test("T206: a keystore with any bit of its content flipped is refused", async () => {
  const pfx = await keystore();
  const content = safeOf(pfx);
  const start = pfx.indexOf(content);
  for (let index = 0; index < content.byteLength; index += 1) {
    const changed = Buffer.from(pfx);
    changed[start + index] = (changed[start + index] ?? 0) ^ (1 << (index & 7));
    assert.throws(() => createSecureContext({ pfx: changed, passphrase: PASSWORD }), `at ${index}`);
  }
});

test("the MAC is HMAC-SHA256 over the authenticated safe, with the iterations that it says", async () => {
  const pfx = await keystore(1234);
  const macData = readDerSequence(readDer(pfx, DER.sequence))[2];
  assert.ok(macData !== undefined);
  const [digestInfo, salt, iterations] = readDerSequence(macData);
  assert.ok(digestInfo !== undefined && salt !== undefined);
  const [, digest] = readDerSequence(digestInfo);
  assert.ok(digest !== undefined);
  assert.equal(readDerSmallInteger(iterations), 1234);
  using password = secretOf(PASSWORD);
  using key = derivePkcs12MacKey({ password, salt: derContent(salt), iterations: 1234 });
  const mac = createHmac("sha256", bytesOf(key)).update(safeOf(pfx)).digest();
  assert.ok(mac.equals(derContent(digest)));
});

test("salts and IVs are fresh: two keystores of one key share no run of bytes but the heads of its two parts", async () => {
  const [one, other] = [await keystore(), await keystore()];
  const safe = safeOf(one);
  const shared: number[] = [];
  for (let at = 0; at + 64 <= safe.byteLength; at += 16)
    if (other.includes(safe.subarray(at, at + 64))) shared.push(at);
  assert.equal(shared.length, 2, shared.join(" "));
  assert.equal(shared[0], 0);
});

test("neither key nor certificate is in the keystore in the clear", async () => {
  const pfx = await keystore();
  const { n = "" } = privateKey.export({ format: "jwk" });
  assert.equal(pfx.indexOf(Buffer.from(n, "base64url").subarray(0, 32)), -1);
});

/** The AuthenticatedSafe: what the MAC is over. */
function safeOf(pfx: Buffer): Buffer {
  const authSafe = readDerSequence(readDer(pfx, DER.sequence))[1];
  assert.ok(authSafe !== undefined);
  const explicit = readDerSequence(authSafe)[1];
  assert.ok(explicit !== undefined);
  return Buffer.from(derContent(readDer(derContent(explicit), DER.octetString)));
}
