import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toHex, toTimestamp } from "../../../src/base/index.ts";
import { appraise } from "../../../src/attest/appraise/appraise.ts";
import { appraisalPolicySchema, simulationPolicy } from "../../../src/attest/appraise/policy.ts";
import {
  changeReferences,
  referenceFileOf,
  withReferences,
} from "../../../src/attest/appraise/reference-values.ts";
import type { ReferenceValues } from "../../../src/attest/appraise/reference-values.ts";
import type { ReferenceSet } from "../../../src/attest/appraise/rules.ts";
import { verifySimulatedEvidence } from "../../../src/attest/sim/verify-sim.ts";
import { measurement, NOW_MS, pki, reportData, signedWire } from "../fixture.ts";

const HOST_A = "aa".repeat(32);
const HOST_B = "bb".repeat(32);
const OTHER = "cc".repeat(48);

const set = (changes: Partial<ReferenceSet> = {}): ReferenceSet => ({
  label: "image 1",
  state: "accepted",
  expiresAt: null,
  values: { measurement: toHex(measurement), hostData: HOST_A },
  ...changes,
});

/** Appraises a report with host data A under a policy whose measurement and host data are referred. */
function judge(references: readonly ReferenceSet[], hostData = HOST_A) {
  const evidence = verifySimulatedEvidence(signedWire({ hostData: Buffer.from(hostData, "hex") }), {
    simulationRoot: pki.ark,
    nowMs: NOW_MS,
  });
  const policy = appraisalPolicySchema.parse({
    ...simulationPolicy([OTHER]),
    measurement: "reference",
    hostData: "reference",
    references,
  });
  const { data } = appraise({ evidence, policy, reportData, nowMs: NOW_MS });
  const refused = data.outcomes.filter(({ outcome }) => outcome !== "met");
  return {
    accepted: data.accepted,
    refused: refused.filter(({ outcome }) => outcome !== "not-checked").map(({ claim }) => claim),
    expected: refused.map(({ expected }) => expected),
    remedies: refused.flatMap(({ remedy }) => remedy ?? []),
  };
}

const parses = (values: object): boolean =>
  appraisalPolicySchema.safeParse({
    ...simulationPolicy([OTHER]),
    measurement: "reference",
    guestSvn: "reference",
    references: [set({ values: { measurement: OTHER, guestSvn: 1, ...values } })],
  }).success;

describe("reference sets", () => {
  test("Evidence that has all the values of one accepted set is accepted", () => {
    assert.equal(judge([set()]).accepted, true);
    const older = set({ label: "image 0", values: { measurement: OTHER, hostData: HOST_B } });
    assert.equal(judge([older, set()]).accepted, true, "several stand side by side");
  });

  test("T140: values of two accepted sets do not count together", () => {
    const first = set({ values: { measurement: toHex(measurement), hostData: HOST_B } });
    const second = set({ label: "image 2", values: { measurement: OTHER, hostData: HOST_A } });
    const { accepted, refused } = judge([first, second]);
    assert.equal(accepted, false);
    assert.equal(refused.length, 2, "also the value that is equal, for the set as a whole is not");
  });

  test("T141: a staged set is compared and named, and accepts nothing", () => {
    const { accepted, refused, remedies, expected } = judge([set({ state: "staged" })]);
    assert.equal(accepted, false);
    assert.match(String(expected[0]), /^[0-9a-f]{96} in one accepted reference set$/);
    assert.deepEqual(refused, ["measurement", "hostData"]);
    assert.match(remedies[0] ?? "", /"image 1" is staged, not accepted: promote it/);
  });

  test("T142: an expired set accepts nothing; the last second of its time still does", () => {
    assert.equal(judge([set({ expiresAt: toTimestamp(NOW_MS) })]).accepted, true);
    const { accepted, remedies } = judge([set({ expiresAt: toTimestamp(NOW_MS - 1000) })]);
    assert.equal(accepted, false);
    assert.match(remedies[0] ?? "", /"image 1" expired/);
    for (const expiresAt of [
      "2026-99-99T00:00:00Z",
      "2026-11-31T00:00:00Z",
      "2027-02-29T12:00:00Z",
    ])
      assert.equal(judge([set({ expiresAt })]).accepted, false, "a time that does not exist");
  });

  test("an accepted set wins over a staged one with the same values", () => {
    assert.equal(judge([set({ state: "staged", label: "again" }), set()]).accepted, true);
  });

  test("Evidence that fits no set is refused against the set that fits best", () => {
    const { refused } = judge([set()], HOST_B);
    assert.deepEqual(refused.includes("hostData"), true);
  });

  test("a policy whose set has a value that no Evidence can have does not parse", () => {
    assert.equal(parses({}), true, "control");
    for (const wrong of [
      { measurement: OTHER.toUpperCase() },
      { measurement: "cc" },
      { measurement: 1 },
      { guestSvn: "1" },
      { guestSvn: 1.5 },
      { guestSvn: -1 },
    ])
      assert.equal(parses(wrong), false, JSON.stringify(wrong));
  });

  test("a policy whose sets name other claims than those that refer to them does not parse", () => {
    const parse = (references: readonly unknown[], rules: object = {}) =>
      appraisalPolicySchema.safeParse({
        ...simulationPolicy([OTHER]),
        measurement: "reference",
        references,
        ...rules,
      }).success;
    assert.equal(parse([set({ values: { measurement: OTHER } })]), true, "control");
    assert.equal(parse([set()]), false, "one too many");
    assert.equal(parse([set({ values: {} })]), false, "one missing");
    assert.equal(parse([]), false, "no set at all");
    assert.equal(parse([set({ values: { measurement: OTHER } })], { debug: "reference" }), false);
  });
});

describe("files of reference values", () => {
  const values: ReferenceValues = { v: 1, name: "launcher", version: 3, sets: [set()] };

  test("a set is staged, promoted, expired and removed, each with the next version", () => {
    const staged = changeReferences(values, { kind: "stage", set: set({ label: "image 2" }) });
    assert.deepEqual([staged.version, staged.sets[1]?.state], [4, "staged"]);
    const promoted = changeReferences(staged, { kind: "promote", label: "image 2" });
    assert.deepEqual([promoted.version, promoted.sets[1]?.state], [5, "accepted"]);
    const expiresAt = "2026-12-01T00:00:00Z";
    const expired = changeReferences(promoted, { kind: "expire", label: "image 1", expiresAt });
    assert.equal(expired.sets[0]?.expiresAt, expiresAt);
    const removed = changeReferences(expired, { kind: "remove", label: "image 1" });
    assert.deepEqual(
      removed.sets.map(({ label }) => label),
      ["image 2"],
    );
  });

  test("a label that is there already, or is not there, is refused", () => {
    const refused = { code: "release.policy" };
    assert.throws(() => changeReferences(values, { kind: "stage", set: set() }), refused);
    for (const kind of ["promote", "remove"] as const)
      assert.throws(() => changeReferences(values, { kind, label: "image 9" }), refused);
  });

  test("a policy's link to a file is replaced by the sets that the file holds", () => {
    const linked = { ...simulationPolicy([OTHER]), references: { file: "references/a.json" } };
    assert.equal(referenceFileOf(linked), "references/a.json");
    assert.equal(referenceFileOf(simulationPolicy([OTHER])), null);
    const referring = { ...linked, measurement: "reference", hostData: "reference" };
    const policy = appraisalPolicySchema.parse(withReferences(referring, values));
    assert.deepEqual(policy.references, [set()]);
    assert.equal(appraisalPolicySchema.safeParse(linked).success, false, "a link is not a policy");
  });
});
