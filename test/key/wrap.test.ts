import assert from "node:assert/strict";
import { createHash, createPublicKey, generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isPpmlError, Secret, toBase64Url, toHex } from "../../src/base/index.ts";
import { type KekPublicKey, wrappedLocalKeySchema } from "../../src/format/kek.ts";
import {
  exportPublicKey,
  kekThumbprint,
  kekVersionOf,
  makeLocalKey,
  parseKekPublicKey,
  wrapLocalKey,
} from "../../src/key/index.ts";
import { kekPublicKeyOf } from "../../src/key/public-key.ts";

const kek = publicKeyOf(3072);

describe("wrapping", () => {
  test("local keys have 32 bytes, ids 16, and no two are alike", () => {
    const made = Array.from({ length: 50 }, makeLocalKey);
    assert.ok(made.every(({ localKey }) => localKey.byteLength === 32));
    assert.ok(made.every(({ localKeyId }) => localKeyId.byteLength === 16));
    const hexes = made.map(({ localKey }) => localKey.expose(toHex));
    assert.equal(new Set(hexes).size, 50);
    assert.equal(new Set(made.map(({ localKeyId }) => toHex(localKeyId))).size, 50);
  });

  test("a wrapped local key names its KEK and version and has the modulus's length", () => {
    const { localKey, localKeyId } = makeLocalKey();
    const wrapped = wrapLocalKey({ localKey, localKeyId, kek });
    assert.deepEqual(wrappedLocalKeySchema.parse(wrapped), wrapped);
    assert.equal(wrapped.id, toBase64Url(localKeyId));
    assert.equal(wrapped.kekId, kek.kekId);
    assert.equal(wrapped.kekVersion, kek.kekVersion);
    assert.equal(wrapped.wrapped.length, 512);
    assert.notEqual(wrapLocalKey({ localKey, localKeyId, kek }).wrapped, wrapped.wrapped);
  });

  test("only 32 bytes with an id of 16 bytes are wrapped", () => {
    const { localKey, localKeyId } = makeLocalKey();
    for (const length of [0, 16, 31, 33]) {
      const wrong = Secret.take(new Uint8Array(length));
      assert.throws(() => wrapLocalKey({ localKey: wrong, localKeyId, kek }), /32 bytes/);
    }
    const short = localKeyId.subarray(1);
    assert.throws(() => wrapLocalKey({ localKey, localKeyId: short, kek }), /16 bytes/);
  });

  test("keys that are too small, of another exponent, form or version are not wrapped for", () => {
    const other = publicKeyOf(3072);
    const small = publicKeyOf(2048);
    const exponent = generateKeyPairSync("rsa", { modulusLength: 3072, publicExponent: 3 });
    const three = exponent.publicKey.export({ format: "jwk" });
    const refusedKeys: readonly unknown[] = [
      small,
      { ...kek, kekVersion: other.kekVersion },
      { ...kek, jwk: other.jwk },
      { ...kek, jwk: three },
      { ...kek, jwk: { ...kek.jwk, e: "Aw" } },
      { ...kek, jwk: { ...kek.jwk, n: `AA${kek.jwk.n}` } },
      { ...kek, jwk: { ...kek.jwk, n: "A" } },
      { ...kek, jwk: { ...kek.jwk, n: "" } },
      { ...kek, jwk: { ...kek.jwk, n: "A".repeat(1400) } },
      { ...kek, jwk: { ...kek.jwk, n: "_".repeat(1400) } },
      { ...kek, jwk: { ...kek.jwk, d: "AQAB" } },
      { ...kek, mode: "test" },
      { ...kek, extra: 1 },
    ];
    const { localKey, localKeyId } = makeLocalKey();
    for (const bad of refusedKeys)
      assert.throws(
        () => wrapLocalKey({ localKey, localKeyId, kek: bad as KekPublicKey }),
        { code: "key.public_key" },
        JSON.stringify(bad),
      );
  });

  test("a version is the first half of the SPKI's SHA-256, the thumbprint that of RFC 7638", () => {
    const key = createPublicKey({ key: { ...kek.jwk }, format: "jwk" });
    const spki = key.export({ type: "spki", format: "der" });
    const digest = createHash("sha256").update(spki).digest("hex");
    assert.equal(kek.kekVersion, digest.slice(0, 32));
    // The example of RFC 7638 section 3.1.
    const n =
      "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    const expected = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    assert.equal(kekThumbprint({ kty: "RSA", n, e: "AQAB" }), expected);
  });
});

describe("public key files", () => {
  for (const form of ["pem", "jwk"] as const) {
    test(`a ${form} file says the whole public key, and comes back`, () => {
      for (const key of [kek, publicKeyOf(4096)]) {
        const text = exportPublicKey(key, form);
        assert.deepEqual(parseKekPublicKey(text), key);
        assert.deepEqual(parseKekPublicKey(text.replaceAll("\n", "\r\n")), key);
      }
    });

    test(`a ${form} file of which anything is cut or changed is refused, or says the same key`, () => {
      const text = exportPublicKey(kek, form);
      const change = fc.tuple(fc.nat(text.length), fc.nat(40), fc.string({ maxLength: 3 }));
      fc.assert(
        fc.property(change, ([at, length, put]) => {
          const changed = text.slice(0, at) + put + text.slice(at + length);
          try {
            const { kekVersion, jwk } = parseKekPublicKey(changed);
            assert.deepEqual({ kekVersion, jwk }, { kekVersion: kek.kekVersion, jwk: kek.jwk });
          } catch (error) {
            assert.ok(isPpmlError(error, "key.public_key"), String(error));
          }
        }),
      );
    });
  }

  test("a JWK is one that others read, a PEM one that OpenSSL reads", () => {
    const jwk = JSON.parse(exportPublicKey(kek, "jwk")) as Record<string, unknown>;
    assert.equal(jwk["alg"], "RSA-OAEP-256");
    assert.equal(jwk["use"], "enc");
    assert.equal(jwk["kid"], kekThumbprint(kek.jwk));
    const key = createPublicKey(exportPublicKey(kek, "pem"));
    assert.equal(kekVersionOf(key.export({ type: "spki", format: "der" })), kek.kekVersion);
  });

  test("other texts are refused", () => {
    const pem = exportPublicKey(kek, "pem");
    const bare = pem.slice(pem.indexOf("-----BEGIN"));
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const ec = publicKey.export({ type: "spki", format: "pem" }).toString();
    for (const text of [
      "",
      "hello",
      "{}",
      "{",
      "null",
      '{"ppml":null,"alg":"RSA-OAEP-256","use":"enc"}',
      bare,
      `kekId: a\n${pem}`,
      `other: a\n${pem}`,
      pem.replace(bare, ec),
      pem.replace(bare, privateKey.export({ type: "pkcs8", format: "pem" }).toString()),
      " ".repeat(20_000),
    ])
      assert.throws(() => parseKekPublicKey(text), { code: "key.public_key" }, text);
  });
});

function publicKeyOf(bits: number): KekPublicKey {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: bits });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const [kekId, kind, mode] = [`test:${bits}`, "unwrap-only", "simulation"] as const;
  return kekPublicKeyOf({ kekId, kind, mode, spki });
}
