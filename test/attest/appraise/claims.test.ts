import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { toHex } from "../../../src/base/index.ts";
import { maaClaims } from "../../../src/attest/appraise/claims.ts";
import { verifySimulatedEvidence } from "../../../src/attest/sim/verify-sim.ts";
import { ecPublicJwkOf } from "../../../src/format/jwk.ts";
import { reportDataOf, runtimeDataSchema } from "../../../src/format/runtime-data.ts";
import { measurement, NOW_MS, pki, signedWire } from "../fixture.ts";

const jwk = ecPublicJwkOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey);
const runtimeData = runtimeDataSchema.parse({
  nonce: "A".repeat(43),
  "tee-pubkey": jwk,
  keys: [
    { ...jwk, kid: "e", use: "enc" },
    { ...jwk, kid: "s", use: "sig" },
  ],
  "job-digest": "ab".repeat(32),
});
const evidence = verifySimulatedEvidence(
  signedWire({ reportData: reportDataOf(runtimeData), guestSvn: 9, policy: 0x3_0000n }),
  { simulationRoot: pki.ark, nowMs: NOW_MS },
);

test("claims have the names and forms of Microsoft Azure Attestation, none of them deprecated", () => {
  const claims = maaClaims({ evidence, runtimeData });
  assert.equal(claims["x-ms-attestation-type"], "sevsnpvm");
  assert.equal(claims["x-ms-sevsnpvm-launchmeasurement"], toHex(measurement));
  assert.equal(claims["x-ms-sevsnpvm-is-debuggable"], false);
  assert.equal(claims["x-ms-sevsnpvm-migration-allowed"], false);
  assert.equal(claims["x-ms-sevsnpvm-smt-allowed"], true);
  assert.equal(claims["x-ms-sevsnpvm-guestsvn"], 9);
  assert.equal(claims["x-ms-sevsnpvm-snpfw-svn"], 23);
  assert.equal(claims["x-ms-sevsnpvm-microcode-svn"], 84);
  assert.deepEqual(claims["x-ms-runtime"], runtimeData);
  for (const deprecated of ["is-debuggable", "product-id", "svn", "tee", "maa-ehd", "aas-ehd"])
    assert.equal(deprecated in claims, false);
});

test("claims of simulated Evidence say so, and claim nothing that only Azure can", () => {
  const claims = maaClaims({ evidence, runtimeData });
  assert.deepEqual(claims["ppml"], { simulated: true });
  assert.equal("x-ms-compliance-status" in claims, false);
  assert.equal("iss" in claims, false);
});

test("runtime data that the Evidence does not bind gets no claims", () => {
  const other = { ...runtimeData, "job-digest": "cd".repeat(32) };
  assert.throws(() => maaClaims({ evidence, runtimeData: other }), { code: "attest.not_verified" });
});
