import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { AppraisalPolicy } from "../../src/attest/appraise/policy.ts";
import { checkPolicy } from "../../src/release/check-policy.ts";
import { issuerOf } from "../../src/release/policy.ts";
import type { PolicyFile } from "../../src/release/policy.ts";
import { parsedPolicy } from "../attest/appraise/open-policy.ts";
import { newSigningKey } from "../broker/fixture.ts";

const owner = newSigningKey();
const DIGEST = "ab".repeat(32);
const NO_DEBUG = { debug: { equals: false } };

function policyWith(
  appraisal: AppraisalPolicy,
  codeDigests: NonNullable<PolicyFile["jobs"]>["codeDigests"] = [DIGEST],
): PolicyFile {
  return {
    v: 1,
    name: "analysis",
    appraisal,
    release: {
      version: "1.0.0",
      anyOf: [
        {
          authority: issuerOf("production"),
          allOf: [{ claim: "x-ms-attestation-type", equals: "sevsnpvm" }],
        },
      ],
    },
    jobs: {
      signers: [owner.publicJwk],
      codeDigests,
      purposes: ["a test"],
      outputKeks: [owner.keyId],
    },
    resources: [],
    grants: ["azure:vault/kek"],
    ownerOpen: [],
  };
}

/** Paths of the findings of one severity, for a production vault. */
const found = (policy: PolicyFile, severity: "error" | "warning"): string[] =>
  checkPolicy(policy, "production")
    .filter((finding) => finding.severity === severity)
    .map(({ path }) => path);

describe("T145: production needs the workload's identity", () => {
  const cases: readonly (readonly [tee: string, path: string, named: object])[] = [
    ["snp", "appraisal.hostData", { hostData: { equals: "00".repeat(32) } }],
    ["maa-sevsnpvm", "appraisal.hostData", { hostData: { equals: "00".repeat(32) } }],
    ["tdx", "appraisal.rtmr1", { rtmr2: { equals: "00".repeat(48) } }],
    ["maa-tdxvm", "appraisal.rtmr1", { mrConfigId: { equals: "00".repeat(48) } }],
  ];
  for (const [tee, path, named] of cases)
    test(tee, () => {
      const policyHash = tee.startsWith("maa") ? { policyHash: { equals: "h" } } : {};
      const open = policyWith(parsedPolicy(tee, { ...NO_DEBUG, ...policyHash }));
      assert.deepEqual(found(open, "error"), [path]);
      const good = policyWith(parsedPolicy(tee, { ...NO_DEBUG, ...policyHash, ...named }));
      assert.deepEqual(found(good, "error"), []);
    });

  test("a simulated TEE and debugging are errors, whatever the kind", () => {
    for (const tee of ["sim-snp", "sim-sgx", "sim-tdx"])
      assert.ok(found(policyWith(parsedPolicy(tee, NO_DEBUG)), "error").includes("appraisal.tee"));
    assert.ok(found(policyWith(parsedPolicy("sgx")), "error").includes("appraisal.debug"));
  });
});

describe("T146: a node's Evidence names no pod, so a policy cannot pretend that it does", () => {
  for (const tee of ["az-snp-vtpm", "maa-azurevm-snp", "maa-azurevm-tdx"])
    test(tee, () => {
      const policyHash = tee.startsWith("maa") ? { policyHash: { equals: "h" } } : {};
      const appraisal = parsedPolicy(tee, { ...NO_DEBUG, ...policyHash });
      assert.deepEqual(found(policyWith(appraisal), "error"), ["jobs.codeDigests"]);
      const honest = policyWith(appraisal, "any");
      assert.deepEqual(found(honest, "error"), []);
      assert.deepEqual(found(honest, "warning"), ["jobs.codeDigests"]);
    });

  test("a VM that is itself the workload may list code, and has to", () => {
    const appraisal = parsedPolicy("az-snp-vtpm", { ...NO_DEBUG, profile: "snp" });
    assert.deepEqual(found(policyWith(appraisal), "error"), []);
    assert.deepEqual(found(policyWith(appraisal, "any"), "error"), ["jobs.codeDigests"]);
  });
});

/** The errors of a policy for that provider which leaves the provider's policy open. */
function openTo(issuer: string): string[] {
  const rules = { ...NO_DEBUG, issuer: { equals: issuer }, policyHash: "any" };
  return found(policyWith(parsedPolicy("maa-sgx", rules)), "error");
}

test("T147: a provider's policy is left open for Azure's shared providers only", () => {
  assert.deepEqual(openTo("https://sharedeus2.eus2.attest.azure.net"), []);
  for (const issuer of [
    "https://mine.eus2.attest.azure.net",
    "https://sharedeus2.eus2.attest.azure.net/",
    "https://sharedeus2.weu.attest.azure.net",
  ])
    assert.deepEqual(openTo(issuer), ["appraisal.policyHash"], issuer);
});
