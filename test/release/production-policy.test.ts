import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { AppraisalPolicy } from "../../src/attest/appraise/policy.ts";
import { checkPolicy } from "../../src/release/check-policy.ts";
import { issuerOf } from "../../src/release/policy.ts";
import type { PolicyFile } from "../../src/release/policy.ts";
import { openPolicy, parsedPolicy } from "../attest/appraise/open-policy.ts";
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

/** The PCRs of an open policy, with zeros in one that names a boot loader or kernel. */
const pcrs = (tee: string): object => {
  const open = openPolicy(tee)["pcrs"] as object;
  return { pcrs: { ...open, "8": { equals: "00".repeat(32) } } };
};

/** An enclave that is named by its signer. */
const signer = (isvProdId: object): object => ({
  mrEnclave: "any",
  mrSigner: { equals: "11".repeat(32) },
  isvProdId,
  isvSvn: { atLeast: 2 },
});

describe("T145: production needs the workload's identity", () => {
  const cases: readonly (readonly [tee: string, path: string, named: object])[] = [
    ["snp", "appraisal.hostData", { hostData: { equals: "11".repeat(32) } }],
    ["maa-sevsnpvm", "appraisal.hostData", { hostData: { equals: "11".repeat(32) } }],
    ["tdx", "appraisal.rtmr1", { rtmr2: { equals: "11".repeat(48) } }],
    ["maa-tdxvm", "appraisal.rtmr1", { mrConfigId: { equals: "11".repeat(48) } }],
  ];
  for (const [tee, path, named] of cases)
    test(tee, () => {
      const policyHash = tee.startsWith("maa") ? { policyHash: { equals: "h" } } : {};
      const open = policyWith(parsedPolicy(tee, { ...NO_DEBUG, ...policyHash }));
      assert.deepEqual(found(open, "error"), [path]);
      const good = policyWith(parsedPolicy(tee, { ...NO_DEBUG, ...policyHash, ...named }));
      assert.deepEqual(found(good, "error"), []);
    });

  const ZERO_48 = { equals: "00".repeat(48) };
  const zeros: readonly (readonly [tee: string, path: string, named: object])[] = [
    ["maa-sevsnpvm", "appraisal.hostData", { hostData: { equals: "00".repeat(32) } }],
    [
      "snp",
      "appraisal.hostData",
      { hostData: { equals: "00".repeat(32) }, uvmFeed: { equals: "ContainerPlat-AMD-UVM" } },
    ],
    ["tdx", "appraisal.rtmr1", { rtmr3: ZERO_48, mrConfigId: ZERO_48 }],
    ["tdx", "appraisal.rtmr1", { rtmr3: { oneOf: ["11".repeat(48), ZERO_48.equals] } }],
    ["maa-tdxvm", "appraisal.rtmr1", { rtmr1: ZERO_48 }],
    ["sgx", "appraisal.isvProdId", signer({ atLeast: 0 })],
    ["maa-sgx", "appraisal.isvProdId", signer({ atLeast: 3 })],
    ["az-snp-vtpm", "appraisal.pcrs.4", { profile: "snp", ...pcrs("az-snp-vtpm") }],
    ["az-tdx-vtpm", "appraisal.pcrs.4", pcrs("az-tdx-vtpm")],
    [
      "tdx",
      "appraisal.rtmr1",
      {
        rtmr3: "reference",
        references: [
          { label: "a", state: "accepted", expiresAt: null, values: { rtmr3: "11".repeat(48) } },
          { label: "b", state: "accepted", expiresAt: null, values: { rtmr3: ZERO_48.equals } },
        ],
      },
    ],
  ];
  for (const [index, [tee, path, named]] of zeros.entries())
    test(`zeros and minimums name nobody: ${tee} (${index})`, () => {
      const policyHash = tee.startsWith("maa") ? { policyHash: { equals: "h" } } : {};
      const policy = policyWith(parsedPolicy(tee, { ...NO_DEBUG, ...policyHash, ...named }));
      assert.deepEqual(found(policy, "error"), [path]);
    });

  test("a signer's product is named by its id, also by 0", () => {
    for (const isvProdId of [{ equals: 0 }, { oneOf: [0, 7] }]) {
      const named = { ...NO_DEBUG, ...signer(isvProdId) };
      assert.deepEqual(found(policyWith(parsedPolicy("sgx", named)), "error"), []);
    }
  });

  test("a VM of an image of one's own has no host data, and its measurement names it", () => {
    const named = { ...NO_DEBUG, hostData: { equals: "00".repeat(32) } };
    assert.deepEqual(found(policyWith(parsedPolicy("snp", named)), "error"), []);
  });

  test("reference sets that all name a workload do", () => {
    const values = { rtmr3: "11".repeat(48) };
    const references = [{ label: "a", state: "accepted", expiresAt: null, values }];
    const named = { ...NO_DEBUG, rtmr3: "reference", references };
    assert.deepEqual(found(policyWith(parsedPolicy("tdx", named)), "error"), []);
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
      assert.equal(found(honest, "warning").at(-1), "jobs.codeDigests");
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

const path = (claim: string): string => `appraisal.${claim}`;

test("production is warned of a TEE that its host may profile, move or interrupt", () => {
  const named = { ...NO_DEBUG, rtmr1: { equals: "11".repeat(48) } };
  const claims = ["profiling", "migratable", "septVeDisable", "mrServiceTd"];
  assert.deepEqual(found(policyWith(parsedPolicy("tdx", named)), "warning"), claims.map(path));
  const strict = {
    ...named,
    profiling: { equals: false },
    migratable: { equals: false },
    septVeDisable: { equals: true },
    mrServiceTd: { equals: "00".repeat(48) },
  };
  assert.deepEqual(found(policyWith(parsedPolicy("tdx", strict)), "warning"), []);
  const wrong = { ...strict, septVeDisable: { equals: false }, migratable: { equals: true } };
  assert.deepEqual(found(policyWith(parsedPolicy("tdx", wrong)), "warning"), [
    path("migratable"),
    path("septVeDisable"),
  ]);
});

const twice = <T>(list: readonly T[]): T[] => [...list, ...list];

test("a value that is there twice in any list of a policy is found", () => {
  const values = { mrEnclave: "11".repeat(32) };
  const policy = policyWith(
    parsedPolicy("sgx", {
      ...NO_DEBUG,
      mrEnclave: "reference",
      isvSvn: { oneOf: [1, 1] },
      advisoryIds: { only: ["A", "A"] },
      references: twice([{ label: "a", state: "staged", expiresAt: null, values }]),
    }),
  );
  const { jobs } = policy;
  assert.ok(jobs !== null);
  const doubled: PolicyFile = {
    ...policy,
    jobs: {
      signers: twice(jobs.signers),
      codeDigests: [DIGEST, DIGEST],
      purposes: twice(jobs.purposes),
      outputKeks: twice(jobs.outputKeks),
    },
    grants: twice(policy.grants),
    ownerOpen: [owner.publicJwk, owner.keyId],
  };
  assert.deepEqual(found(doubled, "warning"), [
    "grants",
    "ownerOpen",
    "appraisal.isvSvn",
    "appraisal.advisoryIds",
    "appraisal.references",
    "jobs.signers",
    "jobs.purposes",
    "jobs.outputKeks",
    "jobs.codeDigests",
  ]);
});

test("a token's VMPL has no minimum either, for 0 is the most privileged", () => {
  assert.throws(() => parsedPolicy("maa-sevsnpvm", { vmpl: { atLeast: 0 } }));
  assert.doesNotThrow(() => parsedPolicy("maa-sevsnpvm", { vmpl: { oneOf: [0, 2] } }));
});

const warned = (rules: object): boolean => {
  const appraisal = parsedPolicy("az-snp-vtpm", { ...NO_DEBUG, profile: "snp", ...rules });
  return found(policyWith(appraisal), "warning").includes("appraisal.pcrs.4");
};

test("a VM that is named by its boot loader alone is warned of", () => {
  const open = openPolicy("az-snp-vtpm")["pcrs"] as object;
  const rule = { equals: "11".repeat(32) };
  assert.equal(warned({ pcrs: { ...open, "4": rule } }), true);
  assert.equal(warned({ pcrs: { ...open, "4": rule, "9": { equals: "00".repeat(32) } } }), true);
  assert.equal(warned({ pcrs: { ...open, "4": rule, "9": rule } }), false);
  assert.equal(warned({ pcrs: { ...open, "11": rule } }), false);
  assert.equal(warned({ profile: "snp-node", pcrs: { ...open, "4": rule } }), false);
});
