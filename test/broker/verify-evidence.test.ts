import assert from "node:assert/strict";
import { test } from "node:test";
import { toBase64Url } from "../../src/base/index.ts";
import { attestSimDcap } from "../../src/attest/sim/dcap-platform.ts";
import type { BrokerIdentity } from "../../src/broker/database.ts";
import { noMaaProviders } from "../../src/broker/maa-providers.ts";
import { verifyFor } from "../../src/broker/verify-evidence.ts";
import { bodies, KINDS, NOW_MS, pki } from "../attest/dcap-fixture.ts";

const key = { kty: "EC", crv: "P-256", x: "A".repeat(43), y: "A".repeat(43) } as const;
const identity: BrokerIdentity = {
  v: 1,
  mode: "simulation",
  owner: key,
  releaseRoot: key,
  logKey: key,
  earKey: key,
  simulationRoot: toBase64Url(pki.certificates.root),
  created: "2026-11-24T00:00:00Z",
};

for (const kind of KINDS)
  test(`T: simulated DCAP Evidence of ${kind} is for a simulation's broker alone`, async () => {
    const wire = attestSimDcap(pki, { quote: bodies[kind], nowMs: NOW_MS });
    const verified = await verifyFor({ identity, maaProviders: noMaaProviders }, wire, NOW_MS);
    assert.equal(verified.simulated, true);
    assert.equal(verified.evidence.type, wire.type);
    const production: BrokerIdentity = { ...identity, mode: "production", simulationRoot: null };
    await assert.rejects(
      verifyFor({ identity: production, maaProviders: noMaaProviders }, wire, NOW_MS),
      { code: "attest.simulated" },
    );
    const renamed = { ...wire, type: wire.type.slice("sim-".length) };
    for (const each of [production, identity])
      await assert.rejects(
        verifyFor({ identity: each, maaProviders: noMaaProviders }, renamed, NOW_MS),
        {
          code: /^attest\.(?:not_verified|collateral)$/,
        },
      );
  });
