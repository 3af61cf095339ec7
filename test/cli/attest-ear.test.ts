import assert from "node:assert/strict";
import type { KeyObject } from "node:crypto";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { z } from "zod";
import { simulationPolicy } from "../../src/attest/appraise/policy.ts";
import { claimsOf, NOW_MS, p256, p384, rsa, tokenOf } from "../attest/ear/fixture.ts";
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

  test("explains a contraindicated one with its claims", async () => {
    const token = write("bad.jwt", tokenOf(claimsOf({}, { "ear.status": "contraindicated" })));
    const args = ["attest", "explain", token, "--collateral", key, "--at", String(NOW_MS / 1000)];
    const { stdout } = await runInProcess(args);
    assert.match(stdout, /verified by the given key[^]*cpu0\.status +contraindicated[^]*REFUSED/);
  });

  test("takes its Verifier's key in PEM, and among keys of other kinds", async () => {
    const pem = p256.publicKey.export({ type: "spki", format: "pem" });
    assert.equal((await verify(tokenOf(), write("key.pem", pem))).code, 0);
    const ed25519 = generateKeyPairSync("ed25519").publicKey;
    const p521 = generateKeyPairSync("ec", { namedCurve: "P-521" }).publicKey;
    const keys = [ed25519, p521, rsa.publicKey, p384.publicKey, p256.publicKey].map(jwkOf);
    assert.equal((await verify(tokenOf(), write("set.json", JSON.stringify({ keys })))).code, 0);
  });

  test("does not verify it by a key that is for something else", async () => {
    const jwk = jwkOf(p256.publicKey);
    for (const [name, value] of [
      ["enc", { ...jwk, use: "enc" }],
      ["es384", { ...jwk, alg: "ES384" }],
      ["ed25519", jwkOf(generateKeyPairSync("ed25519").publicKey)],
    ] as const) {
      const { code, report } = await verify(tokenOf(), write(name, JSON.stringify(value)));
      assert.equal(code, 1, name);
      assert.equal(report.refusal?.code, "attest.collateral", name);
      assert.match(report.refusal.message, /no key in .*expected a public key for ES256/);
    }
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
