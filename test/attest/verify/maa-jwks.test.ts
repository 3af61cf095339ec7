import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { describe, test } from "node:test";
import { toBase64, utf8 } from "../../../src/base/index.ts";
import { issueCertificate } from "../../../src/attest/x509/issue-certificate.ts";
import { maaSigningKey, parseMaaJwks } from "../../../src/attest/verify/maa-jwks.ts";
import type { MaaJwks } from "../../../src/attest/verify/maa-jwks.ts";
import { jwkOf, jwksOf, KEY_ID, NOW_MS, otherKey, providerKey } from "../maa-fixture.ts";

const YEAR_MS = 365 * 86_400_000;
const issuerKey = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;

const certificateOf = (
  subjectKey: KeyObject,
  changes: { subject?: string; notBeforeMs?: number; notAfterMs?: number } = {},
): string =>
  toBase64(
    issueCertificate({
      subject: "https://contoso.weu.attest.azure.net",
      subjectKey,
      issuer: "https://contoso.weu.attest.azure.net",
      issuerKey,
      notBeforeMs: NOW_MS - YEAR_MS,
      notAfterMs: NOW_MS + YEAR_MS,
      extensions: [],
      ...changes,
    }),
  );

const find = (jwks: MaaJwks, options: { nowMs?: number; simulated?: boolean } = {}): KeyObject =>
  maaSigningKey({ jwks, keyId: KEY_ID, simulated: false, nowMs: NOW_MS, ...options });

const refuses = (jwks: MaaJwks, message: RegExp, code = "attest.not_verified"): void =>
  assert.throws(() => find(jwks), { name: "PpmlError", code, message });

const invalid = (text: string, message: RegExp): void =>
  assert.throws(() => parseMaaJwks(utf8(text)), { code: "attest.invalid", message });

test("a key is found by its id: from n and e, from its certificate, and from both", () => {
  const expected = providerKey.publicKey;
  const x5c = [certificateOf(providerKey.privateKey)];
  for (const jwk of [
    jwkOf(expected),
    jwkOf(expected, { x5c }),
    jwkOf(expected, { x5c, n: undefined, e: undefined }),
    jwkOf(expected, { use: "sig", alg: "RS256" }),
  ])
    assert.ok(find(jwksOf(jwkOf(otherKey.publicKey, { kid: "other" }), jwk)).equals(expected));
});

test("a certificate of another key than the JWK's is refused", () => {
  const x5c = [certificateOf(otherKey.privateKey), certificateOf(providerKey.privateKey)];
  refuses(jwksOf(jwkOf(providerKey.publicKey, { x5c })), /is not the key of its certificate/);
});

test("a certificate out of its validity, and one that does not parse, are refused", () => {
  const jwks = jwksOf(
    jwkOf(providerKey.publicKey, { x5c: [certificateOf(providerKey.privateKey)] }),
  );
  for (const nowMs of [NOW_MS - 2 * YEAR_MS, NOW_MS + 2 * YEAR_MS, Number.NaN])
    assert.throws(() => find(jwks, { nowMs }), { message: /is not valid at this time/ });
  for (const x5c of [["MIIB"], ["not base64!"], [""]])
    refuses(jwksOf(jwkOf(providerKey.publicKey, { x5c })), /does not parse/);
});

test("T88: production refuses a key whose certificate says simulation, and a simulation any other", () => {
  const subject = "MAA PPML SIMULATION - NOT HARDWARE";
  const x5c = [certificateOf(providerKey.privateKey, { subject })];
  const marked = jwksOf(jwkOf(providerKey.publicKey, { x5c }));
  refuses(marked, /got one of a simulation/, "attest.simulated");
  assert.ok(find(marked, { simulated: true }).equals(providerKey.publicKey));
  for (const jwk of [
    jwkOf(providerKey.publicKey),
    jwkOf(providerKey.publicKey, { x5c: [certificateOf(providerKey.privateKey)] }),
  ])
    assert.throws(() => find(jwksOf(jwk), { simulated: true }), { code: "attest.simulated" });
});

describe("a key that is not an RSA key for RS256 is refused", () => {
  for (const [name, changes] of Object.entries({
    "of another kind": { kty: "EC" },
    "for encryption": { use: "enc" },
    "for another algorithm": { alg: "PS256" },
    "without n": { n: undefined },
    "without e": { e: undefined },
    "without n and e": { n: undefined, e: undefined },
    "with its private exponent": { d: "AQAB" },
    "with an empty modulus": { n: "" },
  }))
    test(name, () => refuses(jwksOf(jwkOf(providerKey.publicKey, changes)), /key|parse/));
  test("of 1024 bits, in n and in its certificate", () => {
    const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
    refuses(jwksOf(jwkOf(weak.publicKey)), /of 2048 to 8192 bits of RSA, got 1024/);
    const x5c = [certificateOf(weak.privateKey)];
    refuses(
      jwksOf(jwkOf(weak.publicKey, { x5c, n: undefined, e: undefined })),
      /of 2048 to 8192 bits/,
    );
  });
  test("with an EC key in its certificate", () => {
    const x5c = [certificateOf(issuerKey)];
    assert.equal(createPublicKey(issuerKey).asymmetricKeyType, "ec");
    refuses(
      jwksOf(jwkOf(providerKey.publicKey, { x5c, n: undefined, e: undefined })),
      /bits of RSA/,
    );
  });
});

test("a JWK Set that is no JSON, too large, with too many keys or with duplicates is refused", () => {
  const jwk = JSON.stringify(jwkOf(providerKey.publicKey));
  invalid("<html>", /not valid JSON/);
  invalid("{}", /not valid at keys/);
  invalid('{"keys":{}}', /not valid at keys/);
  invalid('{"keys":[{"kty":"RSA"}]}', /not valid at keys\.0\.kid/);
  invalid(`{"keys":[],"keys":[${jwk}]}`, /member "keys" twice/);
  invalid(`{"keys":[{"kid":"x",${jwk.slice(1)}]}`, /member "kid" twice/);
  invalid(`{"keys":[${Array.from({ length: 101 }, () => jwk).join()}]}`, /not valid at keys/);
  invalid(" ".repeat(1024 * 1024 + 1), /at most 1048576 bytes/);
  assert.equal(parseMaaJwks(utf8(`{"keys":[${jwk}]}`)).keys.length, 1);
});
