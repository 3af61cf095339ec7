import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { baselineRefusal } from "../../../src/attest/appraise/baseline.ts";
import { valuesOf } from "../../../src/attest/appraise/claims-of.ts";
import { simTdReport } from "../../../src/attest/sim/dcap-quote.ts";
import { verifySimulatedEvidence } from "../../../src/attest/sim/verify-sim.ts";
import { verifyMaaToken } from "../../../src/attest/verify/maa-token.ts";
import { makeCase, reportData, verifyCase } from "../dcap-fixture.ts";
import { NOW_MS, pki, signedWire } from "../fixture.ts";
import { goodDemands, tdxClaims, tokenOf } from "../maa-fixture.ts";

/** ATTRIBUTES with SEPT_VE_DISABLE and one bit more, in the order of the report's bytes. */
function attributesWith(bit: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, (1n << 28n) | (1n << BigInt(bit)), true);
  return bytes;
}

const RESERVED = [1, 2, 3, 7, 8, 15, 23, 26, 32, 61];

describe("T322: a TD whose ATTRIBUTES set a bit that no claim could name is refused", () => {
  for (const bit of RESERVED)
    test(`a quote with bit ${bit}`, () => {
      const mrTd = new Uint8Array(48);
      for (const [kind, type, version] of [
        ["tdx v4", "td10", 4],
        ["tdx v5, TD 1.5", "td15", 5],
      ] as const) {
        const body = simTdReport(type, { mrTd, reportData, tdAttributes: attributesWith(bit) });
        assert.throws(() => verifyCase(makeCase(kind, { body: { tee: "tdx", version, body } })), {
          code: "attest.not_verified",
          message: /reserved bits of the TD's ATTRIBUTES, got 0x/,
        });
      }
    });

  test("a token, likewise", async () => {
    for (const bit of RESERVED)
      await assert.rejects(
        verifyMaaToken(
          tokenOf({
            tee: tdxClaims,
            claims: { tdx_td_attributes: Buffer.from(attributesWith(bit)).toString("hex") },
          }),
          goodDemands,
        ),
        { code: "attest.invalid", message: /a bit that is reserved/ },
      );
  });
});

test("T322: a token's TD that may be profiled is under debug, for a token's policy has no other claim", async () => {
  for (const bit of [4, 5, 6]) {
    const tdx_td_attributes = Buffer.from(attributesWith(bit)).toString("hex");
    const { evidence } = await verifyMaaToken(
      tokenOf({ tee: tdxClaims, claims: { tdx_td_attributes } }),
      goodDemands,
    );
    assert.equal(valuesOf(evidence)["debug"], true, `bit ${bit}`);
    assert.equal(baselineRefusal(evidence)?.claim, "debug");
  }
  const { evidence } = await verifyMaaToken(tokenOf({ tee: tdxClaims }), goodDemands);
  assert.equal(valuesOf(evidence)["debug"], false);
});

const baselineUnder = (policy: bigint) =>
  baselineRefusal(
    verifySimulatedEvidence(signedWire({ policy }), { simulationRoot: pki.ark, nowMs: NOW_MS })
      .evidence,
  );

test("T144: a guest that a migration agent may move is refused without a policy", () => {
  assert.equal(baselineUnder(0x3_0000n), null);
  assert.equal(baselineUnder(0x3_0000n | (1n << 18n))?.claim, "migrationAllowed");
});
