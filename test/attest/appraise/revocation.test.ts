import assert from "node:assert/strict";
import { test } from "node:test";
import { appraise } from "../../../src/attest/appraise/appraise.ts";
import { boundData } from "../../../src/attest/appraise/binding.ts";
import { issueCrl } from "../../../src/attest/sim/crl.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";
import { keys, milan, NOW_MS, verifyForm, wireOf, withPart, YEAR_MS } from "../snp-forms.ts";
import { parsedPolicy } from "./open-policy.ts";

const crl = issueCrl({
  issuer: milan.names.ark,
  issuerKey: keys.ark,
  thisUpdateMs: NOW_MS - 1000,
  nextUpdateMs: NOW_MS + YEAR_MS,
  serials: [],
});

/** What came of the claim, under a policy with that rule for it. */
function outcomeOf(wire: WireEvidence, rule: unknown): string | undefined {
  const evidence = verifyForm(milan, wire);
  const policy = parsedPolicy("snp", { revocationChecked: rule });
  const { data } = appraise({
    evidence,
    policy,
    reportData: boundData(evidence.evidence),
    nowMs: evidence.verifiedAt,
  });
  return data.outcomes.find(({ claim }) => claim === "revocationChecked")?.outcome;
}

test("T139: a policy can demand that AMD's CRL was looked at, and refuses Evidence without it", () => {
  const without = wireOf(milan);
  const along = withPart(without, "crl", crl);
  assert.equal(outcomeOf(along, { equals: true }), "met");
  assert.equal(outcomeOf(without, { equals: true }), "not-met");
  for (const wire of [along, without]) assert.equal(outcomeOf(wire, "any"), "not-checked");
});
