import assert from "node:assert/strict";
import type { KeyObject } from "node:crypto";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { z } from "zod";
import { simulationPolicy } from "../../src/attest/appraise/policy.ts";
import {
  claimsOf,
  ed25519,
  NOW_MS,
  p256,
  p384,
  p521,
  rsa,
  tokenOf,
} from "../attest/ear/fixture.ts";
import { runInProcess } from "./ppml.ts";

const folder = mkdtempSync(join(tmpdir(), "ppml ear "));
after(() => rmSync(folder, { recursive: true }));

const write = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const jwkOf = (key: KeyObject): object => key.export({ format: "jwk" });
const key = write("key.json", JSON.stringify(jwkOf(p256.publicKey)));

const reportSchema = z.strictObject({
  verified: z.boolean(),
  kind: z.string(),
  simulated: z.boolean(),
  tcbStatus: z.null(),
  advisoryIds: z.array(z.string()),
  claims: z.record(z.string(), z.unknown()),
  refusal: z.strictObject({ code: z.string(), message: z.string(), remedy: z.string() }).nullable(),
});

async function verify(token: string, keys: string, ...more: readonly string[]) {
  const evidence = write("ear.jwt", token);
  const at = ["--at", String(NOW_MS / 1000)];
  const args = ["attest", "verify", evidence, "--collateral", keys, ...at, "--json", ...more];
  const { code, stdout } = await runInProcess(args, { cwd: folder });
  return { code, report: reportSchema.parse(JSON.parse(stdout)) };
}

describe("ppml attest verify, of an EAR token", () => {
  test("T170: refuses it where a policy was to judge it", async () => {
    const policy = write("policy.json", JSON.stringify(simulationPolicy(["00".repeat(48)])));
    const { code, report } = await verify(tokenOf(), key, "--policy", policy);
    assert.equal(code, 1);
    assert.equal(report.refusal?.code, "release.denied");
    assert.match(report.refusal.message, /--policy judges Evidence/);
  });

  test("whose claims are none says to ask the issuer again, not a TEE", async () => {
    const { code, report } = await verify(tokenOf(claimsOf({ submods: 1 })), key);
    assert.equal(code, 1);
    assert.equal(report.refusal?.code, "attest.invalid");
    assert.match(report.refusal.remedy, /^Ask the issuer for the token again/);
  });

  test("T170: refuses it where --runtime-data asks for what nobody compared", async () => {
    const data = write("data.json", '{"a":1}');
    const { code, report } = await verify(tokenOf(), key, "--runtime-data", data);
    assert.equal(code, 1);
    assert.equal(report.refusal?.code, "release.denied");
    assert.match(report.refusal.message, /--runtime-data judges Evidence/);
  });

  test("T170: refuses it as soon as its Verifier contraindicates one attester", async () => {
    for (const status of ["affirming", "warning", "none"]) {
      const vector = { "ear.trustworthiness-vector": {} };
      const token = tokenOf(claimsOf({}, { ...vector, "ear.status": status }));
      const { code, report } = await verify(token, key);
      assert.deepEqual([code, report.verified], [0, true], status);
      assert.equal(report.claims["cpu0.status"], status);
    }
    const token = tokenOf(claimsOf({}, { "ear.status": "contraindicated" }));
    const { code, report } = await verify(token, key);
    assert.deepEqual([code, report.verified], [1, false]);
    assert.equal(report.refusal?.code, "attest.unprotected");
    assert.match(report.refusal.message, /cpu0\.status is contraindicated/);
    assert.equal(report.claims["cpu0.status"], "contraindicated");
  });

  test("T170: refuses it where its Verifier gives no status, and its vector contraindicates", async () => {
    const vector = { hardware: 2, configuration: 97 };
    const cpu0 = { "ear.status": "none", "ear.trustworthiness-vector": vector };
    const { code, report } = await verify(tokenOf(claimsOf({}, cpu0)), key);
    assert.deepEqual([code, report.verified], [1, false]);
    assert.equal(report.refusal?.code, "attest.unprotected");
    assert.match(report.refusal.message, /cpu0\.configuration is contraindicated/);
  });

  test("says each status in its verdict, which is not judged", async () => {
    const one = { "ear.status": "warning" };
    const submods = { cpu0: { "ear.status": "affirming" }, "g\u001b[2Jpu": one };
    const token = write("two.jwt", tokenOf(claimsOf({ submods })));
    const args = [token, "--collateral", key, "--at", String(NOW_MS / 1000)];
    const { code, stdout } = await runInProcess(["attest", "verify", ...args]);
    assert.equal(code, 0);
    assert.equal(stdout, "verified: ear, cpu0.status affirming, g\\x1b[2Jpu.status warning\n");
    const explained = await runInProcess(["attest", "explain", ...args]);
    assert.ok(!explained.stdout.includes("\u001b"));
  });

  test("explains one that is not verified with its claims, as just that", async () => {
    const token = write("other.jwt", tokenOf(claimsOf(), { alg: "ES384" }, p384.privateKey));
    const { code, stdout } = await runInProcess(["attest", "explain", token]);
    assert.equal(code, 1);
    assert.match(stdout, /NOT VERIFIED[^]*verifier +https:[^]*cpu0\.status +affirming[^]*REFUSED/);
  });

  test("T170: does not verify it by RSA that anybody signs with", async () => {
    const small = generateKeyPairSync("rsa", { modulusLength: 1024 });
    const weak = [jwkOf(small.publicKey), { ...jwkOf(rsa.publicKey), e: "AQ" }];
    const token = tokenOf(claimsOf(), { alg: "RS256" }, small.privateKey);
    for (const keys of [{ keys: weak }, ...weak]) {
      const { code, report } = await verify(token, write("weak.json", JSON.stringify(keys)));
      assert.deepEqual([code, report.refusal?.code], [1, "attest.collateral"]);
      assert.match(report.refusal?.message ?? "", /RSA of 2048 bits at least/);
    }
  });

  test("passes over keys of a set that are none, or of a curve that is not known", async () => {
    const known = jwkOf(p256.publicKey);
    const others = [
      { ...known, crv: "BP-256" },
      { kty: "EC", crv: "P-256" },
    ];
    const set = write("set.json", JSON.stringify({ keys: [...others, known] }));
    assert.equal((await verify(tokenOf(), set)).code, 0);
    const none = write("none.json", JSON.stringify({ keys: others }));
    assert.equal((await verify(tokenOf(), none)).report.refusal?.code, "attest.collateral");
  });

  test("explains a contraindicated one with its claims", async () => {
    const token = write("bad.jwt", tokenOf(claimsOf({}, { "ear.status": "contraindicated" })));
    const args = ["attest", "explain", token, "--collateral", key, "--at", String(NOW_MS / 1000)];
    const { stdout } = await runInProcess(args);
    assert.match(stdout, /verified by the given key[^]*cpu0\.status +contraindicated[^]*REFUSED/);
  });

  test("takes its Verifier's key in PEM, and among keys of other kinds", async () => {
    const pem = p256.publicKey.export({ type: "spki", format: "pem" });
    assert.equal((await verify(tokenOf(), write("key.pem", pem))).code, 0);
    const x25519 = generateKeyPairSync("x25519").publicKey;
    const pairs = [ed25519, p521, rsa, p384, p256].map(({ publicKey }) => publicKey);
    const keys = [x25519, ...pairs].map(jwkOf);
    assert.equal((await verify(tokenOf(), write("set.json", JSON.stringify({ keys })))).code, 0);
  });

  test("does not verify it by a key that is for something else", async () => {
    const jwk = jwkOf(p256.publicKey);
    for (const [name, value] of [
      ["enc", { ...jwk, use: "enc" }],
      ["es384", { ...jwk, alg: "ES384" }],
      ["x25519", jwkOf(generateKeyPairSync("x25519").publicKey)],
    ] as const) {
      const { code, report } = await verify(tokenOf(), write(name, JSON.stringify(value)));
      assert.equal(code, 1, name);
      assert.equal(report.refusal?.code, "attest.collateral", name);
      assert.match(report.refusal.message, /no key in .*expected a public key for ES256/);
    }
  });

  test("verifies each algorithm with the key that is for it, which for RSA's PSS a JWK has to say", async () => {
    const rsaJwk = jwkOf(rsa.publicKey);
    for (const [alg, pair, jwk] of [
      ["ES256", p256, jwkOf(p256.publicKey)],
      ["ES384", p384, jwkOf(p384.publicKey)],
      ["ES512", p521, jwkOf(p521.publicKey)],
      ["EdDSA", ed25519, jwkOf(ed25519.publicKey)],
      ["Ed25519", ed25519, { ...jwkOf(ed25519.publicKey), alg: "Ed25519" }],
      ["RS256", rsa, rsaJwk],
      ["PS256", rsa, { ...rsaJwk, alg: "PS256" }],
    ] as const) {
      const token = tokenOf(claimsOf(), { alg }, pair.privateKey);
      assert.equal((await verify(token, write("jwk.json", JSON.stringify(jwk)))).code, 0, alg);
      const pem = write("key.pem", pair.publicKey.export({ type: "spki", format: "pem" }));
      const { code, report } = await verify(token, pem);
      assert.equal(code, alg === "PS256" ? 1 : 0, alg);
      if (code === 0) continue;
      assert.equal(report.refusal?.code, "attest.not_verified");
      assert.match(report.refusal.message, /signed with PS256, expected RS256/);
    }
    const rs256 = tokenOf(claimsOf(), { alg: "RS256" }, rsa.privateKey);
    const forPss = write("pss.json", JSON.stringify({ ...rsaJwk, alg: "PS256" }));
    assert.equal((await verify(rs256, forPss)).report.refusal?.code, "attest.not_verified");
  });

  test("T170: refuses one of the draft's form whose overall status is contraindicated", async () => {
    const claims = {
      eat_profile: "tag:ietf.org,2026:rats/ear#04",
      iat: NOW_MS / 1000 - 10,
      ear_verifier_id: { developer: "https://veraison-project.org", build: "vts 0.0.1" },
      submods: { PSA: { ear_status: "affirming" } },
    };
    assert.equal((await verify(tokenOf(claims), key)).code, 0);
    const token = tokenOf({ ...claims, ear_status: "contraindicated" });
    const { code, report } = await verify(token, key);
    assert.deepEqual([code, report.refusal?.code], [1, "attest.unprotected"]);
    assert.deepEqual(
      [report.claims["status"], report.claims["PSA.status"]],
      ["contraindicated", "affirming"],
    );
  });

  test("says of keys that are none what is expected, in the form of every verdict", async () => {
    const { code, report } = await verify(tokenOf(), write("noise", "these are no keys"));
    assert.deepEqual([code, report.kind, report.refusal?.code], [1, "ear", "attest.collateral"]);
    assert.match(report.refusal?.message ?? "", /expected the Verifier's public key as JWK/);
  });

  test("attest diff and policy dry-run say that it is no Evidence", async () => {
    const token = write("ear.jwt", tokenOf());
    const policy = write("policy.json", JSON.stringify(simulationPolicy(["00".repeat(48)])));
    for (const args of [
      ["attest", "diff", token, token],
      ["policy", "dry-run", policy, token],
    ]) {
      const { code, stdout } = await runInProcess([...args, "--collateral", key, "--json"]);
      assert.equal(code, 1);
      assert.match(stdout, /attest\.unsupported.*[^]*an EAR token is another Verifier's result/);
    }
  });
});
