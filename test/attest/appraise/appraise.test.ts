import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toHex } from "../../../src/base/index.ts";
import { appraise } from "../../../src/attest/appraise/appraise.ts";
import { appraisalPolicySchema, simulationPolicy } from "../../../src/attest/appraise/policy.ts";
import type { SimSnpPolicy } from "../../../src/attest/appraise/kinds/snp.ts";
import { explainResult } from "../../../src/attest/explain/explain.ts";
import { verifySimulatedEvidence } from "../../../src/attest/sim/verify-sim.ts";
import type { SnpReport } from "../../../src/attest/evidence/snp-report.ts";
import { attestationResultSchema } from "../../../src/format/attestation-result.ts";
import { measurement, NOW_MS, pki, reportData, signedWire } from "../fixture.ts";

const good = simulationPolicy([toHex(measurement)]);

const verified = (changes: Partial<SnpReport> = {}) =>
  verifySimulatedEvidence(signedWire(changes), { simulationRoot: pki.ark, nowMs: NOW_MS });

const judge = (policy: Partial<SimSnpPolicy> = {}, changes: Partial<SnpReport> = {}) =>
  appraise({
    evidence: verified(changes),
    policy: { ...good, ...policy },
    reportData,
    nowMs: NOW_MS,
  }).data;

const refusedClaims = (data: ReturnType<typeof judge>): string[] =>
  data.outcomes.filter(({ outcome }) => outcome === "not-met").map(({ claim }) => claim);

test("good Evidence is accepted, with one outcome a claim", () => {
  const data = judge();
  assert.deepEqual(attestationResultSchema.parse(data), data);
  assert.equal(data.accepted, true);
  assert.equal(data.simulated, true);
  assert.equal(data.profile, "sim");
  assert.deepEqual(
    data.outcomes.map(({ claim }) => claim),
    [
      "tee",
      "reportData",
      "measurement",
      "hostData",
      "familyId",
      "imageId",
      "idKeyDigest",
      "authorKeyDigest",
      "chipId",
      "guestSvn",
      "vmpl",
      "debug",
      "migrationAllowed",
      "smtAllowed",
      "singleSocket",
      "reportedTcb.bootloader",
      "reportedTcb.tee",
      "reportedTcb.snp",
      "reportedTcb.microcode",
    ],
  );
  assert.ok(data.outcomes.every(({ remedy }) => remedy === null));
});

test("a good report replayed for other report data is refused", () => {
  const data = appraise({
    evidence: verified(),
    policy: good,
    reportData: new Uint8Array(64).fill(0xb3),
    nowMs: NOW_MS,
  }).data;
  assert.equal(data.accepted, false);
  assert.deepEqual(refusedClaims(data), ["reportData"]);
  const short = appraise({
    evidence: verified(),
    policy: good,
    reportData: reportData.slice(0, 48),
    nowMs: NOW_MS,
  });
  assert.equal(short.data.accepted, false, "a prefix binds nothing");
});

describe("each claim is refused alone, with a remedy", () => {
  const cases: readonly (readonly [string, Partial<SimSnpPolicy>, Partial<SnpReport>])[] = [
    ["measurement", {}, { measurement: new Uint8Array(48) }],
    ["hostData", {}, { hostData: new Uint8Array(32).fill(1) }],
    ["familyId", { familyId: { equals: "11".repeat(16) } }, {}],
    ["imageId", { imageId: { oneOf: ["11".repeat(16)] } }, {}],
    ["idKeyDigest", { idKeyDigest: { equals: "11".repeat(48) } }, {}],
    ["authorKeyDigest", { authorKeyDigest: { equals: "11".repeat(48) } }, {}],
    ["chipId", { chipId: { equals: "11".repeat(64) } }, {}],
    ["guestSvn", { guestSvn: { atLeast: 8 } }, { guestSvn: 7 }],
    ["vmpl", {}, { vmpl: 1 }],
    ["debug", {}, { policy: 0x3_0000n | (1n << 19n) }],
    ["migrationAllowed", {}, { policy: 0x3_0000n | (1n << 18n) }],
    ["smtAllowed", { smtAllowed: { equals: false } }, {}],
    ["singleSocket", { singleSocket: { equals: true } }, {}],
    ...(["bootloader", "tee", "snp", "microcode"] as const).map(
      (part) =>
        [
          `reportedTcb.${part}`,
          { reportedTcb: { ...good.reportedTcb, [part]: { atLeast: 99 } } },
          {},
        ] as const,
    ),
  ];
  for (const [claim, policy, changes] of cases)
    test(claim, () => {
      const data = judge(policy, changes);
      assert.equal(data.accepted, false);
      assert.deepEqual(refusedClaims(data), [claim]);
      const outcome = data.outcomes.find((candidate) => candidate.claim === claim);
      assert.match(outcome?.remedy ?? "", /^[A-Z].{20,}\.$/);
    });
});

test("values, sets and minimums mean what they say; `any` is reported as not checked", () => {
  const accepts = (policy: Partial<SimSnpPolicy>, changes: Partial<SnpReport> = {}) =>
    assert.deepEqual(refusedClaims(judge(policy, changes)), []);
  accepts({ guestSvn: { atLeast: 7 } }, { guestSvn: 7 });
  accepts({ guestSvn: { atLeast: 7 } }, { guestSvn: 8 });
  accepts({ guestSvn: { oneOf: [1, 7] } }, { guestSvn: 7 });
  accepts({ vmpl: { oneOf: [0, 2] } }, { vmpl: 2 });
  accepts({ measurement: { oneOf: ["00".repeat(48), toHex(measurement)] } });
  const { outcomes } = judge({ debug: "any" }, { policy: 0x3_0000n | (1n << 19n) });
  assert.equal(outcomes.find(({ claim }) => claim === "debug")?.outcome, "not-checked");
});

describe("a policy does not parse", () => {
  test("with any one claim left out", () => {
    assert.equal(appraisalPolicySchema.safeParse(good).success, true, "control");
    for (const name of Object.keys(good)) refuses({ [name]: undefined });
    for (const name of Object.keys(good.reportedTcb))
      refuses({ reportedTcb: { ...good.reportedTcb, [name]: undefined } });
  });

  test("with measurement `any`, in simulation too", () => refuses({ measurement: "any" }));

  test("with empty or endless sets, unknown claims, operators, values or kinds of TEE", () => {
    refuses({ measurement: { oneOf: [] } });
    refuses({ measurement: { oneOf: Array.from({ length: 101 }, () => "00".repeat(48)) } });
    refuses({ measurement: { equals: "00".repeat(32) } });
    refuses({ measurement: { equals: "AA".repeat(48) } });
    refuses({ measurement: { equals: "00".repeat(48), oneOf: ["00".repeat(48)] } });
    refuses({ hostdata: "any" });
    refuses({ debug: { atLeast: false } });
    refuses({ debug: false });
    refuses({ vmpl: { atLeast: 0 } });
    refuses({ vmpl: { equals: 4 } });
    refuses({ guestSvn: { atLeast: -1 } });
    refuses({ guestSvn: { atMost: 3 } });
    refuses({ tee: "snp" });
  });
});

describe("an explanation", () => {
  test("of an accepted result says SIMULATED first, a line a claim, then the verdict", () => {
    const lines = explainResult(judge());
    assert.match(lines[0] ?? "", /^SIMULATED/);
    assert.equal(lines.length, 2 + 19 + 1);
    assert.match(lines.at(-1) ?? "", /^accepted: 19 claims/);
    assert.ok(lines.some((line) => /ok {2}measurement +a1a1a1a1\.\.\.a1a1$/.test(line)));
    assert.ok(lines.some((line) => /-- {2}chipId .*the policy says any/.test(line)));
  });

  test("of a refused result names each claim that failed and what to do, in 80 columns", () => {
    const data = judge({}, { measurement: new Uint8Array(48), vmpl: 1 });
    const lines = explainResult(data);
    assert.equal(lines.at(-1), "refused: measurement, vmpl");
    assert.ok(
      lines.some((line) => /NO {2}measurement +zero, expected a1a1a1a1\.\.\.a1a1/.test(line)),
    );
    assert.ok(lines.some((line) => line.includes("-> Other code, configuration or Node")));
    for (const line of lines) assert.ok(line.length <= 80, line);
  });

  test("says of a claim that the Evidence does not have, and nobody looks at, that there is nothing", () => {
    const data = judge();
    const outcome = { claim: "mrServiceTd", outcome: "not-checked", expected: "any" } as const;
    const lines = explainResult({
      ...data,
      outcomes: [{ ...outcome, actual: null, remedy: null }],
    });
    assert.ok(lines.includes("  --  mrServiceTd  nothing (the policy says any)"), lines.join("\n"));
  });

  test("puts no control character of a foreign result on the terminal", () => {
    const lines = explainResult({
      evidenceType: "\u001b[2Jx",
      profile: "sim",
      simulated: false,
      accepted: false,
      outcomes: [
        {
          claim: "a\u0007b",
          outcome: "missing",
          expected: "\n\u001b]0;x",
          actual: null,
          remedy: null,
        },
      ],
    });
    for (const line of lines) assert.match(line, /^[\x20-\x7e]*$/);
    assert.equal(lines.at(-1), "refused: a?b");
    assert.doesNotMatch(lines.join(), /SIMULATED/);
  });
});

function refuses(change: object): void {
  assert.equal(appraisalPolicySchema.safeParse({ ...good, ...change }).success, false);
}
