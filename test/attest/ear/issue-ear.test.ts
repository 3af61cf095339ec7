import assert from "node:assert/strict";
import { test } from "node:test";
import { earTeePubkey, TRUSTEE_PROFILE } from "../../../src/attest/ear/ear.ts";
import { issueEar } from "../../../src/attest/ear/issue-ear.ts";
import { parseCompactJws } from "../../../src/attest/token/compact-jws.ts";
import { NOW_MS, p256, p384, signer, teePubkey, verify } from "./fixture.ts";

type Options = Parameters<typeof issueEar>[0];

const good: Options = {
  signer,
  verifierId: { developer: "ppml", build: "0.1.0" },
  cpu: {
    vector: { hardware: 2, executables: 3, configuration: 2 },
    policyId: "flights",
    tee: "snp",
    claims: { measurement: "ab".repeat(48) },
    runtimeData: { nonce: "bm9uY2U", "tee-pubkey": teePubkey },
    reportData: "cd".repeat(64),
    initData: null,
  },
  status: "of-the-vector",
  simulated: false,
  lifetimeSeconds: 300,
  nowMs: NOW_MS,
};

const issue = (changes: Partial<Options> = {}) => issueEar({ ...good, ...changes });
const withVector = (vector: Options["cpu"]["vector"]) => ({ cpu: { ...good.cpu, vector } });

test("an issued EAR verifies by the broker's key and says what was found", async () => {
  const { ear } = await verify(await issue());
  assert.equal(ear.profile, TRUSTEE_PROFILE);
  assert.equal(ear.issuedAtMs, NOW_MS);
  assert.equal(ear.expiresAtMs, NOW_MS + 300_000);
  assert.deepEqual(ear.verifierId, { developer: "ppml", build: "0.1.0" });
  const { cpu0 } = ear.submods;
  assert.equal(cpu0?.status, "affirming");
  assert.deepEqual(cpu0.vector, good.cpu.vector);
  assert.deepEqual(cpu0.policyIds, ["flights"]);
  assert.deepEqual(cpu0.annotatedEvidence, {
    snp: good.cpu.claims,
    report_data: good.cpu.reportData,
    runtime_data_claims: good.cpu.runtimeData,
  });
});

test("its form is Trustee's: the key in the header, the guest's key where KBS looks for it", async () => {
  const jws = parseCompactJws(await issue(), "it");
  const { kty, crv, x, y } = p256.publicKey.export({ format: "jwk" });
  assert.deepEqual(jws.header, {
    alg: "ES256",
    typ: "JWT",
    kid: "broker-1",
    jwk: { kty, crv, x, y, alg: "ES256" },
  });
  assert.deepEqual(earTeePubkey((await verify(await issue())).ear), teePubkey);
});

test("ES384 works with a P-384 key", async () => {
  const token = await issue({
    signer: { algorithm: "ES384", privateKey: p384.privateKey, keyId: "k" },
  });
  await verify(token, { keys: [{ algorithm: "ES384", publicKey: p384.publicKey }] });
  await assert.rejects(
    issue({ signer: { algorithm: "ES384", privateKey: p256.privateKey, keyId: "k" } }),
  );
});

test("the status is the vector's worst tier, may be worse, and never better", async () => {
  for (const [vector, status] of [
    [{ hardware: 2, executables: 33 }, "warning"],
    [{ hardware: 97, executables: 3 }, "contraindicated"],
    [{}, "none"],
  ] as const)
    assert.equal(
      (await verify(await issue(withVector(vector)))).ear.submods["cpu0"]?.status,
      status,
    );
  const worse = await issue({ status: "contraindicated" });
  assert.equal((await verify(worse)).ear.submods["cpu0"]?.status, "contraindicated");
  await assert.rejects(issue({ status: "affirming", ...withVector({ hardware: 33 }) }), {
    code: "attest.invalid",
    message: /promises more/,
  });
  await assert.rejects(issue(withVector({ hardware: 300 })), { code: "attest.invalid" });
});

test("a simulation's EAR carries its mark, and a lifetime is bounded", async () => {
  const token = await issue({ simulated: true });
  await assert.rejects(verify(token), { code: "attest.simulated" });
  await verify(token, { simulated: true });
  for (const lifetimeSeconds of [0, 0.5, -1, 86_401, Number.NaN])
    await assert.rejects(issue({ lifetimeSeconds }), { code: "attest.invalid" });
});
