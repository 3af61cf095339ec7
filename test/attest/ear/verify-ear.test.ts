import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isPpmlError, toBase64Url, utf8 } from "../../../src/base/index.ts";
import { earTeePubkey, IETF_EAR_PROFILES } from "../../../src/attest/ear/ear.ts";
import { detectEvidence } from "../../../src/attest/evidence/detect.ts";
import { overstates, tierOf, worstTier } from "../../../src/attest/ear/tiers.ts";
import { EAR_ALGORITHMS } from "../../../src/attest/ear/verify-ear.ts";
import type { EarAlgorithm, EarKey } from "../../../src/attest/ear/verify-ear.ts";
import {
  claimsOf,
  ed25519,
  NOW_MS,
  p256,
  p384,
  p521,
  rsa,
  teePubkey,
  tokenOf,
  verify,
} from "./fixture.ts";
import type { EarOptions, Json } from "./fixture.ts";

const NOW = NOW_MS / 1000;
const KEYS = {
  ES256: p256,
  ES384: p384,
  ES512: p521,
  EdDSA: ed25519,
  RS256: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
};
const keyOf = (algorithm: EarAlgorithm): EarKey => ({
  algorithm,
  publicKey: KEYS[algorithm].publicKey,
});

const refuses = (
  token: string,
  expected: { code?: string; message: RegExp; options?: Partial<EarOptions> },
): Promise<void> =>
  assert.rejects(verify(token, expected.options), {
    name: "PpmlError",
    code: expected.code ?? "attest.not_verified",
    message: expected.message,
  });

const part = (value: Json): string => toBase64Url(utf8(JSON.stringify(value)));

const withVector = (status: string, vector: Json): string =>
  tokenOf(claimsOf({}, { "ear.status": status, "ear.trustworthiness-vector": vector }));

const withEvidence = async (evidence: unknown, changes: Json = {}) =>
  (await verify(tokenOf(claimsOf(changes, { "ear.veraison.annotated-evidence": evidence })))).ear;

const isRefused = async (token: string): Promise<boolean> => {
  try {
    await verify(token);
    return false;
  } catch (error) {
    return isPpmlError(error) && error.code.startsWith("attest.");
  }
};

test("a good EAR of another Verifier verifies and is read into types", async () => {
  const { ear } = await verify(tokenOf());
  assert.equal(ear.verifierId.build, "as 0.1.0");
  assert.equal(ear.expiresAtMs, NOW_MS + 290_000);
  const { cpu0 } = ear.submods;
  assert.equal(cpu0?.status, "affirming");
  assert.deepEqual(cpu0.vector, { hardware: 2, executables: 3, configuration: 2 });
  assert.deepEqual(cpu0.policyIds, ["default"]);
  assert.equal(ear.status, null);
});

describe("an EAR verifies with the one algorithm of its pinned key, and with no other", () => {
  for (const algorithm of EAR_ALGORITHMS)
    test(algorithm, async () => {
      const { privateKey, publicKey } = KEYS[algorithm];
      const token = tokenOf(claimsOf(), { alg: algorithm }, privateKey);
      await verify(token, { keys: [keyOf(algorithm)] });
      await verify(token, { keys: EAR_ALGORITHMS.map(keyOf) });
      for (const other of EAR_ALGORITHMS.filter((name) => name !== algorithm)) {
        // The key that signed, pinned for something else, and another key pinned for this.
        for (const key of [keyOf(other), { algorithm: other, publicKey }])
          await refuses(token, { options: { keys: [key] }, message: /not signed by a pinned key/ });
        if (KEYS[other] !== KEYS[algorithm])
          await refuses(token, {
            options: { keys: [{ algorithm, publicKey: KEYS[other].publicKey }] },
            message: /not signed by a pinned key/,
          });
      }
      await refuses(token, { options: { keys: [] }, message: /not signed by a pinned key/ });
      const [head, body, signature = ""] = token.split(".");
      const changed = `${head}.${body}.${signature.replace(/^./, (c) => (c === "A" ? "B" : "A"))}`;
      await refuses(changed, {
        options: { keys: [keyOf(algorithm)] },
        message: /not signed by a pinned key/,
      });
    });
  test("RFC 9864's name of EdDSA with Ed25519", async () => {
    const token = tokenOf(claimsOf(), { alg: "Ed25519" }, ed25519.privateKey);
    await verify(token, { keys: [keyOf("EdDSA")] });
    await refuses(token, { options: { keys: [keyOf("ES256")] }, message: /signed with Ed25519/ });
  });
  test("a refusal for the algorithm says how the key is given", () =>
    refuses(tokenOf(claimsOf(), { alg: "PS256" }, rsa.privateKey), {
      options: { keys: [keyOf("RS256")] },
      message: /signed with PS256, expected RS256, .* give it as a JWK whose "alg" says so/,
    }));
});

describe("T90: an EAR that no pinned key signed is refused", () => {
  test("alg none, HS256 with the public key as secret, and other algorithms", async () => {
    await refuses(`${part({ alg: "none" })}.${part(claimsOf())}.`, {
      code: "attest.invalid",
      message: /header of the EAR token is not valid at alg/,
    });
    const signed = `${part({ alg: "HS256" })}.${part(claimsOf())}`;
    const secret = p256.publicKey.export({ format: "pem", type: "spki" });
    const mac = createHmac("sha256", secret).update(signed).digest("base64url");
    await refuses(`${signed}.${mac}`, { code: "attest.invalid", message: /not valid at alg/ });
    for (const alg of ["RS384", "RS512", "ES256K", "Ed448", "HS512", undefined])
      await refuses(tokenOf(claimsOf(), { alg }), {
        code: "attest.invalid",
        message: /not valid at alg/,
      });
  });
  test("the key in the header is never used, and other headers are refused", async () => {
    const jwk = p384.publicKey.export({ format: "jwk" });
    await refuses(tokenOf(claimsOf(), { alg: "ES384", jwk }, p384.privateKey), {
      message: /not signed by a pinned key/,
    });
    await verify(tokenOf(claimsOf(), { alg: "ES256", jwk }));
    for (const extra of [
      { jku: "https://evil.example" },
      { x5c: ["MIIB"] },
      { x5u: "https://evil.example" },
      { crit: ["exp"] },
      { b64: false },
      { zip: "DEF" },
    ])
      await refuses(tokenOf(claimsOf(), { alg: "ES256", ...extra }), {
        code: "attest.invalid",
        message: /header of the EAR token is not valid/,
      });
  });
  test("every truncation and every changed character", async () => {
    const token = tokenOf();
    for (let length = 0; length < token.length; length += 1)
      assert.ok(await isRefused(token.slice(0, length)), `cut to ${length}`);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(token.length - 1),
        fc.constantFrom("A", "B", "Q", "g", "w", "_", "-", "9", ".", "=", "\n"),
        async (at, other) => {
          fc.pre(token[at] !== other);
          return isRefused(token.slice(0, at) + other + token.slice(at + 1));
        },
      ),
      { numRuns: 1000 },
    );
  });
});

test("T90: an EAR out of its time, or older than accepted, is refused", async () => {
  await refuses(tokenOf(claimsOf({ exp: NOW - 61 })), { message: /past its exp/ });
  await refuses(tokenOf(claimsOf({ iat: NOW + 61 })), { message: /of the future/ });
  await refuses(tokenOf(claimsOf({ nbf: NOW + 61 })), { message: /of the future/ });
  await refuses(tokenOf(claimsOf({ iat: NOW - 301 })), { message: /301 seconds old, at most 300/ });
  await verify(tokenOf(claimsOf({ exp: undefined })));
  await refuses(tokenOf(claimsOf({ exp: undefined, iat: NOW - 301 })), { message: /old/ });
  for (const nowMs of [Number.NaN, Infinity, -Infinity])
    await refuses(tokenOf(), { options: { nowMs }, message: /of the future|past its exp/ });
  for (const iat of [undefined, null, "1", 1.5, -1])
    await refuses(tokenOf(claimsOf({ iat })), {
      code: "attest.invalid",
      message: /not valid at iat/,
    });
});

test("T90: an EAR of another profile, or without the request's nonce, is refused", async () => {
  await refuses(tokenOf(claimsOf({ eat_profile: "tag:example" })), {
    message: /expected an EAR of/,
  });
  const nonce = { equals: "bm9uY2UtMQ" };
  for (const eat_nonce of ["bm9uY2UtMQ", ["other-nonce", "bm9uY2UtMQ"]])
    await verify(tokenOf(claimsOf({ eat_nonce })), { nonce });
  for (const eat_nonce of [undefined, "bm9uY2UtMg", ["other-nonce"]])
    await refuses(tokenOf(claimsOf({ eat_nonce })), { options: { nonce }, message: /nonce/ });
});

describe("an EAR of the working group's draft, whose claims have other names", () => {
  const [, profile] = IETF_EAR_PROFILES;
  const profiles = [...IETF_EAR_PROFILES];
  const ietfToken = (changes: Json = {}, psa: Json = {}): string =>
    tokenOf({
      eat_profile: profile,
      iat: NOW - 10,
      ear_verifier_id: { developer: "https://veraison-project.org", build: "vts 0.0.1" },
      submods: {
        PSA: {
          ear_status: "affirming",
          ear_trustworthiness_vector: { "instance-identity": 2, executables: 2, hardware: 2 },
          ear_appraisal_policy_ids: ["https://veraison.example/policy/1/60a0068d", "two"],
          ear_attester_claims: { "psa-client-id": 1 },
          ...psa,
        },
      },
      ...changes,
    });
  const refusesForm = (token: string, message: RegExp) =>
    refuses(token, { code: "attest.invalid", options: { profiles }, message });

  test("verifies and is read as one of the older names", async () => {
    for (const eat_profile of IETF_EAR_PROFILES) {
      const { ear } = await verify(ietfToken({ eat_profile, ear_status: "affirming" }), {
        profiles,
      });
      const { PSA } = ear.submods;
      assert.deepEqual(
        [ear.profile, ear.status, ear.verifierId.build, PSA?.status],
        [eat_profile, "affirming", "vts 0.0.1", "affirming"],
      );
      assert.deepEqual(PSA?.vector, { "instance-identity": 2, executables: 2, hardware: 2 });
      assert.deepEqual(PSA.policyIds, ["https://veraison.example/policy/1/60a0068d", "two"]);
      assert.deepEqual(PSA.annotatedEvidence, { "psa-client-id": 1 });
    }
    assert.equal((await verify(ietfToken(), { profiles })).ear.status, null);
  });
  test("T91: is refused where a status promises more than its vector, or all together than one", async () => {
    const message = /promises more than/;
    await refusesForm(ietfToken({}, { ear_trustworthiness_vector: { hardware: 97 } }), message);
    const bad = { ear_status: "contraindicated" };
    for (const ear_status of ["affirming", "warning"])
      await refusesForm(ietfToken({ ear_status }, bad), message);
    for (const ear_status of ["none", "contraindicated"])
      assert.equal(
        (await verify(ietfToken({ ear_status }, bad), { profiles })).ear.status,
        ear_status,
      );
  });
  test("names of the other form have no meaning, in either", async () => {
    await refusesForm(
      ietfToken({}, { ear_status: undefined, "ear.status": "affirming" }),
      /status/,
    );
    await refusesForm(ietfToken({ "ear.verifier-id": {}, ear_verifier_id: undefined }), /verifier/);
    const { ear } = await verify(ietfToken({}, { "ear.status": "none" }), { profiles });
    assert.equal(ear.submods["PSA"]?.status, "affirming");
    await refuses(tokenOf(claimsOf({}, { "ear.status": undefined, ear_status: "affirming" })), {
      code: "attest.invalid",
      message: /status/,
    });
    assert.equal((await verify(tokenOf(claimsOf({ ear_status: "none" })))).ear.status, null);
  });
  test("is refused for its profile where that is not accepted", () =>
    refuses(ietfToken(), { message: /expected an EAR of .*Trustee, got tag:ietf\.org,2026/ }));
  test("is found out among Evidence", () => {
    const { wire } = detectEvidence(
      utf8(ietfToken({ eat_profile: "https://example.com/profile" })),
    );
    assert.equal(wire.type, "ear");
  });
});

test("T91: an EAR whose status promises more than its vector is refused", async () => {
  const message = /promises more than its trustworthiness vector/;
  for (const [status, vector] of [
    ["affirming", { hardware: 2, executables: 33 }],
    ["affirming", { hardware: 97 }],
    ["warning", { hardware: -97 }],
    ["affirming", { hardware: -33 }],
  ] as const)
    await refuses(withVector(status, vector), { code: "attest.invalid", message });
  for (const [status, vector] of [
    ["contraindicated", { hardware: 2 }],
    ["warning", { executables: 33 }],
    ["none", { hardware: 97 }],
    ["affirming", {}],
    ["affirming", { hardware: 0 }],
  ] as const)
    await verify(withVector(status, vector));
});

test("statuses, vectors and submodules of no such form are refused", async () => {
  for (const cpu0 of [
    { "ear.status": "Affirming" },
    { "ear.status": 2 },
    { "ear.status": undefined },
    { "ear.trustworthiness-vector": { hardware: 128 } },
    { "ear.trustworthiness-vector": { hardware: 2.5 } },
    { "ear.trustworthiness-vector": { hardware: "2" } },
    { "ear.trustworthiness-vector": { software: 2 } },
    { "ear.trustworthiness-vector": [] },
  ])
    await refuses(tokenOf(claimsOf({}, cpu0)), { code: "attest.invalid", message: /submods/ });
  for (const submods of [{}, [], null, undefined, { cpu0: null }])
    await refuses(tokenOf(claimsOf({ submods })), { code: "attest.invalid", message: /submods/ });
  const many = Array.from({ length: 17 }, (_, i) => [`cpu${i}`, { "ear.status": "none" }]);
  await refuses(tokenOf(claimsOf({ submods: Object.fromEntries(many) })), {
    code: "attest.invalid",
    message: /at most 16/,
  });
  const twice = JSON.stringify(claimsOf()).replace(
    '"cpu0":',
    '"cpu0":{"ear.status":"none"},"cpu0":',
  );
  await refuses(tokenOf(twice), { code: "attest.invalid", message: /"cpu0" twice/ });
});

test("a simulation's EAR is refused where hardware is expected, and the other way round", async () => {
  const marked = tokenOf(claimsOf({ ppml: { simulated: true } }));
  await refuses(marked, { code: "attest.simulated", message: /claim ppml of a simulation/ });
  assert.equal((await verify(marked, { simulated: true })).ear.simulated, true);
  await refuses(tokenOf(), {
    code: "attest.simulated",
    options: { simulated: true },
    message: /without the claim ppml/,
  });
});

test("the guest's key is read from where Trustee has it, and nowhere else", async () => {
  const runtime = {
    runtime_data_claims: { "tee-pubkey": { ...teePubkey, alg: "ECDH-ES+A256KW" } },
  };
  assert.equal(earTeePubkey(await withEvidence(runtime)).kty, "EC");
  const rsaJwk = { ...rsa.publicKey.export({ format: "jwk" }), alg: "RSA-OAEP-256" };
  assert.equal(
    earTeePubkey(await withEvidence({ runtime_data_claims: { "tee-pubkey": rsaJwk } })).kty,
    "RSA",
  );
  for (const evidence of [
    undefined,
    {},
    { "tee-pubkey": teePubkey },
    { runtime_data_claims: { "tee-pubkey": { ...teePubkey, crv: "P-384" } } },
    { runtime_data_claims: { "tee-pubkey": { ...rsaJwk, e: "AQ" } } },
  ]) {
    const ear = await withEvidence(evidence, { "tee-pubkey": teePubkey });
    assert.throws(() => earTeePubkey(ear), { code: "attest.invalid" });
  }
});

test("tiers have the borders of AR4SI, on both sides of zero", () => {
  for (const [tier, values] of Object.entries({
    none: [-1, 0, 1],
    affirming: [2, 31, -2, -32],
    warning: [32, 95, -33, -96],
    contraindicated: [96, 127, -97, -128],
  }))
    for (const value of values) assert.equal(tierOf(value), tier, String(value));
  for (const value of [128, -129, 2.5, Number.NaN])
    assert.throws(() => tierOf(value), { code: "attest.invalid" });
  assert.equal(worstTier({}), "none");
  assert.equal(worstTier({ hardware: 2, executables: 40, configuration: 0 }), "warning");
  assert.equal(overstates("none", { hardware: 127 }), false);
});
