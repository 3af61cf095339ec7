import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { test } from "node:test";
import { createSimDcapPki } from "../../../src/attest/sim/dcap-pki.ts";
import { attestSimDcap } from "../../../src/attest/sim/dcap-platform.ts";
import { verifySimulatedDcapEvidence } from "../../../src/attest/sim/verify-sim-dcap.ts";
import { createDcapCache } from "../../../src/attest/verify/dcap/cache.ts";
import { verifyDcapEvidence } from "../../../src/attest/verify/dcap/verify-dcap.ts";
import { verifyEvidence } from "../../../src/attest/verify/verify.ts";
import { bodies, KINDS, NOW_MS, pki, SEED } from "../dcap-fixture.ts";

const simulationRoot = pki.certificates.root;

for (const kind of KINDS) {
  const wire = attestSimDcap(pki, { quote: bodies[kind], nowMs: NOW_MS });

  test(`simulated Evidence of ${kind} verifies under its root and says that it is simulated`, () => {
    const cache = createDcapCache({ maxCollateral: 1, maxPlatforms: 1 });
    for (let round = 0; round < 2; round += 1) {
      const verified = verifySimulatedDcapEvidence(wire, { simulationRoot, nowMs: NOW_MS, cache });
      assert.equal(verified.simulated, true);
      assert.equal(verified.profile, "sim");
      assert.equal(verified.evidence.type, wire.type);
      assert.equal(verified.evidence.verification.tcbStatus, "UpToDate");
      assert.deepEqual(verified.evidence.quote.body, bodies[kind].body);
    }
  });

  test(`T: simulated Evidence of ${kind} is refused by production, under any name`, async () => {
    await assert.rejects(
      verifyEvidence(wire, { nowMs: NOW_MS, maaProviders: [], maaMaxAgeSeconds: 0 }),
      {
        code: "attest.simulated",
      },
    );
    assert.throws(() => verifyDcapEvidence(wire, { nowMs: NOW_MS }), {
      code: "attest.unsupported",
    });
    const renamed = { ...wire, type: wire.type.slice("sim-".length) };
    assert.throws(() => verifyDcapEvidence(renamed, { nowMs: NOW_MS }), {
      code: /^attest\.(?:not_verified|collateral)$/,
    });
  });
}

test("a quote of the other kind of TEE is refused", () => {
  const sgx = attestSimDcap(pki, { quote: bodies["sgx v3"], nowMs: NOW_MS });
  for (const type of ["sim-tdx", "sim-snp", "sgx"])
    assert.throws(
      () => verifySimulatedDcapEvidence({ ...sgx, type }, { simulationRoot, nowMs: NOW_MS }),
      { code: /^attest\.(?:invalid|unsupported)$/ },
    );
});

test("a root whose name does not say that it is a simulation's is refused, Intel's among them", () => {
  const named = createSimDcapPki({
    seed: SEED,
    nowMs: NOW_MS,
    change: (role, request) =>
      role === "root" ? { ...request, subject: "SGX Root CA", issuer: "SGX Root CA" } : request,
  });
  const wire = attestSimDcap(named, { quote: bodies["sgx v3"], nowMs: NOW_MS });
  assert.throws(
    () =>
      verifySimulatedDcapEvidence(wire, {
        simulationRoot: named.certificates.root,
        nowMs: NOW_MS,
      }),
    { code: "attest.not_verified", message: /not one of a simulation/ },
  );
});

const points = (seed: Uint8Array) => {
  const { keys } = createSimDcapPki({ seed, nowMs: NOW_MS });
  return Object.values(keys).map((key) => createPublicKey(key).export({ format: "jwk" }).x);
};

test("one seed gives one hierarchy, another seed another one", () => {
  const first = points(SEED);
  assert.deepEqual(points(SEED), first);
  assert.equal(new Set([...first, ...points(new Uint8Array(32).fill(1))]).size, 10);
  assert.throws(() => createSimDcapPki({ seed: new Uint8Array(31), nowMs: NOW_MS }), {
    code: "attest.invalid",
  });
});
