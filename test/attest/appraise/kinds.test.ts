import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { appraisalPolicySchema, listRules } from "../../../src/attest/appraise/policy.ts";
import { remedyOf } from "../../../src/attest/appraise/remedies.ts";
import { KINDS, openPolicy, parsedPolicy } from "./open-policy.ts";

const parses = (policy: unknown): boolean => appraisalPolicySchema.safeParse(policy).success;

test("there is a policy for every kind of Evidence that a verifier knows", () => {
  assert.deepEqual([...KINDS.keys()].sort(), [
    "az-snp-vtpm",
    "az-tdx-vtpm",
    "maa-azurevm-snp",
    "maa-azurevm-tdx",
    "maa-sevsnpvm",
    "maa-sgx",
    "maa-tdxvm",
    "sgx",
    "sim-sgx",
    "sim-snp",
    "sim-tdx",
    "snp",
    "tdx",
  ]);
});

for (const tee of KINDS.keys())
  describe(`a policy for ${tee}`, () => {
    const policy = parsedPolicy(tee);

    test("does not parse with any one claim left out, or one too many", () => {
      assert.equal(parses(policy), true, "control");
      for (const [name, value] of Object.entries(policy)) {
        assert.equal(parses({ ...policy, [name]: undefined }), false, `without ${name}`);
        if (name === "references" || typeof value !== "object") continue;
        for (const part of Object.keys(value))
          assert.equal(parses({ ...policy, [name]: { ...value, [part]: undefined } }), false);
      }
      assert.equal(parses({ ...policy, somethingElse: "any" }), false);
    });

    test("has a remedy for each of its claims", () => {
      const rules = listRules(policy);
      assert.ok(rules.length > 5);
      for (const [claim] of rules) assert.match(remedyOf(claim), /^[A-Z].{20,}\.$/s, claim);
    });
  });

describe("T143: the workload's identity cannot be left open", () => {
  for (const tee of ["sgx", "sim-sgx", "maa-sgx"])
    test(`${tee}: MRENCLAVE, or signer with product and SVN`, () => {
      assert.equal(parses(openPolicy(tee)), false);
      const signer = { mrSigner: { equals: "00".repeat(32) }, isvProdId: { equals: 1 } };
      assert.equal(parses(openPolicy(tee, signer)), false, "any SVN");
      assert.equal(parses(openPolicy(tee, { ...signer, isvSvn: { atLeast: 2 } })), true);
    });

  for (const [tee, claim] of [
    ["sim-snp", "measurement"],
    ["snp", "measurement"],
    ["az-snp-vtpm", "measurement"],
    ["tdx", "mrTd"],
    ["az-tdx-vtpm", "mrTd"],
    ["maa-sevsnpvm", "launchMeasurement"],
    ["maa-tdxvm", "mrTd"],
  ] as const)
    test(`${tee}: ${claim}`, () => {
      assert.equal(parses({ ...parsedPolicy(tee), [claim]: "any" }), false);
    });

  test("a vTPM's policy names what was booted, unless it says that the Evidence is a node's", () => {
    const open = openPolicy("az-snp-vtpm");
    assert.equal(parses(open), true, "a node");
    assert.equal(parses({ ...open, profile: "snp" }), false);
    const pcrs = { ...(open["pcrs"] as object), "9": { equals: "00".repeat(32) } };
    assert.equal(parses({ ...open, profile: "snp", pcrs }), true);
    assert.equal(parses(openPolicy("az-tdx-vtpm")), false);
  });
});

test("docs/appraisal.md names every claim of every kind", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/appraisal.md"), "utf8");
  for (const tee of KINDS.keys()) {
    assert.ok(page.includes(`\`${tee}\``), tee);
    for (const [claim] of listRules(parsedPolicy(tee))) {
      const [name = "", part = name] = claim.split(".");
      assert.ok(page.includes(`\`${name}\``), `${tee}: ${claim}`);
      if (name === "reportedTcb") assert.ok(page.includes(`\`${part}\``), `${tee}: ${claim}`);
    }
  }
});
