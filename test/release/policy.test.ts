import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { simulationPolicy } from "../../src/attest/appraise/policy.ts";
import { isPpmlError } from "../../src/base/index.ts";
import { signingKeyOf } from "../../src/format/jwk.ts";
import {
  checkPolicy,
  explainPolicy,
  issuerOf,
  nextPolicy,
  parsePolicyFile,
  releasePolicyFor,
} from "../../src/release/index.ts";
import type { PolicyFile } from "../../src/release/index.ts";

const MEASUREMENT = "a1".repeat(48);
const owner = signingKeyOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);

const good: PolicyFile = {
  v: 1,
  name: "analysis",
  appraisal: simulationPolicy([MEASUREMENT]),
  release: releasePolicyFor({ mode: "simulation", measurements: [MEASUREMENT] }),
  jobs: {
    signers: [owner.publicJwk],
    codeDigests: ["ab".repeat(32)],
    purposes: ["monthly delays"],
    outputKeks: [owner.keyId],
  },
  resources: [],
  grants: ["kek:a"],
  ownerOpen: [],
};

const errors = (policy: PolicyFile, mode: "simulation" | "production"): string[] =>
  checkPolicy(policy, mode)
    .filter(({ severity }) => severity === "error")
    .map(({ path }) => path);

test("a good policy parses, and has nothing against it", () => {
  assert.deepEqual(parsePolicyFile(JSON.parse(JSON.stringify(good))), good);
  assert.deepEqual(checkPolicy(good, "simulation"), []);
});

test("a policy that leaves anything out, or adds anything, is refused", () => {
  for (const member of Object.keys(good)) {
    const { [member as keyof PolicyFile]: _, ...rest } = good;
    assert.throws(
      () => parsePolicyFile(rest),
      (error) => isPpmlError(error, "release.policy"),
      member,
    );
  }
  for (const more of [{ more: 1 }, { version: 1 }, { v: 2 }])
    assert.throws(
      () => parsePolicyFile({ ...good, ...more }),
      (error) => isPpmlError(error, "release.policy"),
    );
});

test("appraisal, release and jobs are all there or all null", () => {
  for (const member of ["appraisal", "release", "jobs"])
    assert.throws(
      () => parsePolicyFile({ ...good, [member]: null }),
      (error) => isPpmlError(error, "release.policy"),
    );
  const ownerOnly = { ...good, appraisal: null, release: null, jobs: null };
  assert.equal(parsePolicyFile(ownerOnly).jobs, null);
});

test("a grant that no embedded vault has, as the guides' examples write it, is refused", () => {
  for (const kekId of ["embedded:VAULT/secrets", "embedded:0123456789abcdef", "embedded:a/b/c"])
    assert.deepEqual(errors({ ...good, grants: [kekId] }, "simulation"), ["grants"], kekId);
  for (const kekId of ["embedded:0123456789abcdef/secrets", "azure:VAULT/secrets"])
    assert.deepEqual(errors({ ...good, grants: [kekId] }, "simulation"), [], kekId);
});

test("production refuses a simulated TEE, any code, debugging and the simulation's authority", () => {
  const { appraisal, jobs } = good;
  assert.ok(appraisal !== null && jobs !== null);
  const lax: PolicyFile = {
    ...good,
    appraisal: { ...appraisal, debug: "any" },
    jobs: { ...jobs, codeDigests: "any" },
  };
  assert.deepEqual(errors(lax, "production"), [
    "appraisal.tee",
    "appraisal.debug",
    "release.anyOf",
    "jobs.codeDigests",
  ]);
  assert.deepEqual(errors(lax, "simulation"), []);
  assert.equal(checkPolicy(lax, "simulation").length, 2);
});

test("a measurement of any is refused in every mode", () => {
  const appraisal: unknown = { ...good.appraisal, measurement: "any" };
  assert.throws(
    () => parsePolicyFile({ ...good, appraisal }),
    (error) => isPpmlError(error, "release.policy"),
  );
});

test("a policy that nobody can use, and conditions that are never met, are found", () => {
  const nobody = { ...good, appraisal: null, release: null, jobs: null };
  assert.deepEqual(errors(nobody, "simulation"), ["ownerOpen"]);
  const release = {
    version: "1.0.0" as const,
    anyOf: [
      {
        authority: issuerOf("simulation"),
        allOf: [
          { claim: "a", exists: false },
          { claim: "is-debuggable", equals: false },
        ],
      },
    ],
  };
  const messages = checkPolicy({ ...good, release }, "simulation").map(({ message }) => message);
  assert.equal(messages.length, 2);
  assert.match(messages[0] ?? "", /never met/);
  assert.match(messages[1] ?? "", /deprecated/);
});

test("the next policy has the next version, and none where nothing changed", () => {
  const first = nextPolicy(good, null);
  assert.equal(first?.version, 1);
  assert.ok(first);
  assert.equal(nextPolicy(good, first), null);
  assert.equal(nextPolicy({ ...good, grants: [] }, first)?.version, 2);
});

test("the explanation names every KEK, signer, digest, purpose, claim and issuer", () => {
  const text = explainPolicy(good).join("\n");
  for (const part of [
    "kek:a",
    owner.keyId,
    "ab".repeat(32),
    '"monthly delays"',
    `measurement is ${MEASUREMENT}`,
    "debug is false",
    "familyId: not looked at",
    issuerOf("simulation"),
    "ppml.simulated is true",
    "Nobody opens data under these keys in person",
  ])
    assert.ok(text.includes(part), part);
});
