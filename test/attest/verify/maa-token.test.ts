import assert from "node:assert/strict";
import { createHmac, sign } from "node:crypto";
import { describe, test } from "node:test";
import { toBase64Url, toHex, utf8 } from "../../../src/base/index.ts";
import {
  claimsOf,
  goodHeader,
  ISSUER,
  jwkOf,
  jwksOf,
  KEY_ID,
  NOW_MS,
  otherKey,
  POLICY_HASH,
  provider,
  providerKey,
  refuses,
  runtimeBytes,
  sgxClaims,
  signText,
  tdxClaims,
  tokenOf,
  verify,
} from "../maa-fixture.ts";
import type { Json } from "../maa-fixture.ts";

const NOW = NOW_MS / 1000;

test("a good SEV-SNP token verifies and is read into types", async () => {
  const verified = await verify(tokenOf());
  assert.equal(verified.simulated, false);
  assert.equal(verified.profile, "snp");
  assert.equal(verified.verifiedAt, NOW_MS);
  const { tee, issuer, policyHash, expiresAtMs, nonce } = verified.evidence;
  assert.deepEqual(
    { issuer, policyHash, expiresAtMs, nonce },
    {
      issuer: ISSUER,
      policyHash: POLICY_HASH,
      expiresAtMs: (NOW - 30 + 28_800) * 1000,
      nonce: null,
    },
  );
  assert.ok(tee.attestationType === "sevsnpvm");
  assert.equal(toHex(tee.launchMeasurement), "02".repeat(48));
  assert.equal(toHex(tee.hostData), "73".repeat(32));
  assert.deepEqual(tee.tcb, { bootloader: 3, tee: 0, snp: 8, microcode: 115 });
});

test("a token of an SEV-SNP VM without Azure's word for its utility VM names a node only", async () => {
  for (const status of ["azure-compliant-cvm", undefined])
    assert.equal(
      (await verify(tokenOf({ claims: { "x-ms-compliance-status": status } }))).profile,
      "snp-node",
    );
});

test("a good TDX token verifies and is read into types", async () => {
  const { profile, evidence } = await verify(tokenOf({ tee: tdxClaims }));
  assert.equal(profile, "tdx");
  assert.ok(evidence.tee.attestationType === "tdxvm");
  assert.equal(toHex(evidence.tee.rtmr[3]), "b3".repeat(48));
  assert.equal(evidence.tee.tcbStatus, "UpToDate");
});

test("a good SGX token verifies and is read into types, with JSON and with binary runtime data", async () => {
  const { profile, evidence } = await verify(tokenOf({ tee: sgxClaims }));
  assert.equal(profile, "sgx");
  assert.ok(evidence.tee.attestationType === "sgx");
  assert.equal(evidence.tee.configSvn, 4);
  const binary = tokenOf({
    tee: sgxClaims,
    claims: { "x-ms-runtime": undefined, "x-ms-sgx-ehd": toBase64Url(runtimeBytes) },
  });
  await verify(binary, { runtimeData: { kind: "binary", bytes: runtimeBytes } });
});

describe("T80: a token whose algorithm is not RS256 is refused", () => {
  const payload = JSON.stringify(claimsOf());
  test("alg none, as draft policies give it, with and without a signature", async () => {
    const header = JSON.stringify({ ...goodHeader, alg: "none" });
    const unsigned = `${toBase64Url(utf8(header))}.${toBase64Url(utf8(payload))}.`;
    await refuses(unsigned, { message: /expected a token signed with RS256, got alg none/ });
    await refuses(signText(header, payload), { message: /got alg none/ });
    for (const alg of ["None", "NONE", "nOnE"])
      await refuses(tokenOf({ header: { alg } }), { message: /signed with RS256/ });
  });
  test("HS256 with the provider's public key as its secret", async () => {
    const header = JSON.stringify({ ...goodHeader, alg: "HS256" });
    const signed = `${toBase64Url(utf8(header))}.${toBase64Url(utf8(payload))}`;
    const { publicKey } = providerKey;
    for (const secret of [
      publicKey.export({ format: "pem", type: "spki" }),
      publicKey.export({ format: "der", type: "spki" }),
      Buffer.from(publicKey.export({ format: "jwk" }).n ?? "", "base64url"),
    ]) {
      const mac = createHmac("sha256", secret).update(signed).digest("base64url");
      await refuses(`${signed}.${mac}`, { message: /got alg HS256/ });
    }
  });
  test("RS384, PS256, ES256, another case, a list and no alg at all", async () => {
    for (const alg of ["RS384", "PS256", "ES256", "rs256", ["RS256"], 1, undefined])
      await refuses(tokenOf({ header: { alg } }), {
        message: /expected a token signed with RS256/,
      });
  });
  test("an RS256 header over a signature of another scheme", async () => {
    const signed = `${toBase64Url(utf8(JSON.stringify(goodHeader)))}.${toBase64Url(utf8(payload))}`;
    const sha384 = sign("sha384", utf8(signed), providerKey.privateKey).toString("base64url");
    const pss = sign("sha256", utf8(signed), {
      key: providerKey.privateKey,
      padding: 6,
      saltLength: 32,
    }).toString("base64url");
    for (const signature of [sha384, pss, ""])
      await refuses(`${signed}.${signature}`, { message: /not signed by the key that it names/ });
  });
});

describe("T81: a token of an issuer that is not pinned letter by letter is refused", () => {
  for (const iss of [
    "https://mallory.weu.attest.azure.net",
    `${ISSUER}/`,
    "https://Contoso.weu.attest.azure.net",
    `${ISSUER}:443`,
    "https://contoso.weu.attest.azure.net.evil.example",
    "https://contoso.weu.attest.azure.net@evil.example",
    "http://contoso.weu.attest.azure.net",
    " https://contoso.weu.attest.azure.net",
    "",
  ])
    test(`iss ${JSON.stringify(iss)}`, async () =>
      refuses(tokenOf({ claims: { iss }, header: { jku: undefined } }), {
        message: /expected a token of (?:https:|a provider in Azure)/,
      }));
  test("no iss, an iss that is no text, and no pinned provider at all", async () => {
    for (const iss of [undefined, [ISSUER], null])
      await refuses(tokenOf({ claims: { iss } }), { code: "attest.invalid", message: /claim iss/ });
    await refuses(tokenOf(), { demands: { providers: [] }, message: /a pinned provider/ });
  });
  test("a provider that is pinned twice", async () =>
    refuses(tokenOf(), {
      demands: { providers: [provider, provider] },
      message: /pinned more than once/,
    }));
});

describe("T82: a token is verified with its own provider's keys only", () => {
  const other = "https://fabrikam.weu.attest.azure.net";
  const providers = [
    provider,
    { ...provider, issuer: other, jwks: jwksOf(jwkOf(otherKey.publicKey)) },
  ];
  test("the same kid under another issuer does not lend its key", async () => {
    const header = { jku: `${other}/certs` };
    const good = tokenOf({ claims: { iss: other }, header, key: otherKey.privateKey });
    assert.equal((await verify(good, { providers })).evidence.issuer, other, "control");
    await refuses(tokenOf({ claims: { iss: other }, header }), {
      demands: { providers },
      message: /not signed by the key that it names/,
    });
    await refuses(tokenOf({ key: otherKey.privateKey }), {
      demands: { providers },
      message: /not signed by the key that it names/,
    });
  });
  test("a kid that is a path, a URL, empty, missing, unknown or of another case", async () => {
    for (const kid of [
      "../../../../etc/passwd",
      "https://evil.example/key",
      "",
      undefined,
      null,
      "a'; DROP TABLE keys",
      "k".repeat(201),
    ])
      await refuses(tokenOf({ header: { kid } }), {
        code: "attest.invalid",
        message: /header of the MAA token is not valid at kid/,
      });
    for (const kid of ["/etc/passwd", "unknown", KEY_ID.toLowerCase(), KEY_ID.slice(0, -1)])
      await refuses(tokenOf({ header: { kid } }), { message: /the provider has no key/ });
  });
  test("a kid that the JWK Set has twice", async () => {
    const keys = [jwkOf(otherKey.publicKey), jwkOf(providerKey.publicKey)];
    for (const order of [keys, keys.toReversed()])
      await refuses(tokenOf(), {
        demands: { providers: [{ ...provider, jwks: jwksOf(...order) }] },
        message: /has the key ".*" twice/,
      });
  });
});

describe("T83: keys that a token brings or points to are never used", () => {
  const jwk = jwkOf(otherKey.publicKey);
  for (const [name, header] of Object.entries<Json>({
    jwk: { jwk },
    x5u: { x5u: "https://evil.example/cert" },
    x5c: { x5c: ["MIIB"] },
    x5t: { x5t: "AAAA" },
    crit: { crit: ["exp"] },
    "crit with b64": { crit: ["b64"], b64: false },
    zip: { zip: "DEF" },
    cty: { cty: "JWT" },
  }))
    test(`a header with ${name} is refused`, async () => {
      for (const key of [providerKey.privateKey, otherKey.privateKey])
        await refuses(tokenOf({ header, key }), {
          code: "attest.invalid",
          message: /header of the MAA token is not valid/,
        });
    });
  test("a jku that is not the pinned provider's own is refused, and nothing is fetched", async (t) => {
    const fetched = t.mock.method(globalThis, "fetch", () => {
      throw new Error("no network");
    });
    for (const jku of ["https://evil.example/certs", `${ISSUER}/certs/`, `${ISSUER}.evil/certs`])
      await refuses(tokenOf({ header: { jku }, key: otherKey.privateKey }), {
        message: /names other keys than its provider's/,
      });
    assert.equal(fetched.mock.callCount(), 0);
    await verify(tokenOf({ header: { jku: undefined } }));
  });
});

describe("T84: a token out of its time is refused", () => {
  test("expired, and good until a minute after its exp for clocks that differ", async () => {
    const token = tokenOf({ claims: { exp: NOW - 10, iat: NOW - 100, nbf: NOW - 100 } });
    await verify(token);
    await refuses(token, { demands: { nowMs: NOW_MS + 50_000 }, message: /past its exp/ });
  });
  test("an iat or nbf more than a minute in the future", async () => {
    await verify(tokenOf({ claims: { iat: NOW + 60, nbf: NOW + 60 } }));
    await refuses(tokenOf({ claims: { iat: NOW + 61 } }), { message: /is of the future/ });
    await refuses(tokenOf({ claims: { nbf: NOW + 61 } }), { message: /is of the future/ });
  });
  test("a token older than the relying party accepts, though its exp is far", async () => {
    const claims = { iat: NOW - 601, nbf: NOW - 601 };
    await refuses(tokenOf({ claims }), { message: /601 seconds old, at most 600/ });
    await verify(tokenOf({ claims }), { maxAgeSeconds: 601 });
  });
  test("no exp, nbf or iat, and such as are no whole numbers", async () => {
    for (const name of ["exp", "nbf", "iat"])
      for (const value of [undefined, null, String(NOW), NOW + 0.5, -1, 1e300])
        await refuses(tokenOf({ claims: { [name]: value } }), {
          code: "attest.invalid",
          message: new RegExp(`not valid at ${name}`),
        });
  });
  test("an exp before its iat or nbf, and a clock that is no number", async () => {
    await refuses(tokenOf({ claims: { exp: NOW - 30 } }), { message: /ends before it begins/ });
    for (const nowMs of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      await refuses(tokenOf(), { demands: { nowMs }, message: /of the future|past its exp/ });
    await refuses(tokenOf(), { demands: { maxAgeSeconds: Number.NaN }, message: /seconds old/ });
  });
});
