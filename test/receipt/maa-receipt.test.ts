import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { sha256, toBase64Url, toHex, toTimestamp, utf8 } from "../../src/base/index.ts";
import { encodeJcs } from "../../src/format/jcs.ts";
import type { ResultPredicate } from "../../src/format/receipt.ts";
import { verifyReceiptFile } from "../../src/receipt/index.ts";
import type { ReceiptReport, ReceiptRoots } from "../../src/receipt/index.ts";
import { parsedPolicy } from "../attest/appraise/open-policy.ts";
import {
  ISSUER,
  jwkOf,
  jwksOf,
  otherKey,
  POLICY_HASH,
  provider,
  providerKey,
  tokenOf,
} from "../attest/maa-fixture.ts";
import type { Json } from "../attest/maa-fixture.ts";
import {
  applyPolicy,
  makeFixture,
  manifestOf,
  NOW_MS,
  policyOf,
  postManifest,
} from "../broker/fixture.ts";
import type { Fixture } from "../broker/fixture.ts";
import { granted, receiptRequest } from "../broker/result-sample.ts";
import type { Granted } from "../broker/result-sample.ts";

const HOUR_MS = 3_600_000;
const NOW = NOW_MS / 1000;

let fixture: Fixture;
let release: Granted;
const roots: ReceiptRoots = {
  logKey: null,
  simulationRoot: null,
  maaProviders: [provider],
  appraisal: null,
};

before(async () => {
  fixture = await makeFixture();
  await applyPolicy(fixture, policyOf(fixture));
  await postManifest(fixture, manifestOf(fixture));
  release = await granted(fixture);
});
after(() => fixture.dispose());

/** The receipt of a production result whose Evidence is a token over the job's runtime data. */
async function verifyWith(
  options: {
    readonly claims?: Json;
    readonly token?: Parameters<typeof tokenOf>[0];
    readonly predicate?: Partial<ResultPredicate>;
    readonly roots?: Partial<ReceiptRoots>;
  } = {},
): Promise<ReceiptReport> {
  const { runtimeData } = release.asked;
  const reportData = toHex(sha256(encodeJcs(runtimeData))) + "00".repeat(32);
  const claims = {
    "x-ms-runtime": runtimeData,
    "x-ms-sevsnpvm-reportdata": reportData,
    ...options.claims,
  };
  const token = tokenOf({ ...options.token, claims });
  const { receipt } = await receiptRequest(fixture, release, {
    predicate: {
      mode: "production",
      profile: "snp",
      simulated: false,
      evidence: { type: "maa", evidence: toBase64Url(utf8(token)), collateral: {} },
      ...options.predicate,
    },
  });
  return verifyReceiptFile({
    file: { v: 1, receipt, inclusion: null },
    roots: { ...roots, ...options.roots },
    nowMs: NOW_MS + 24 * HOUR_MS,
  });
}

const outcomeOf = (report: ReceiptReport, name: string) =>
  report.checks.find(({ check }) => check === name);

async function fails(options: Parameters<typeof verifyWith>[0], why: RegExp): Promise<void> {
  const report = await verifyWith(options);
  assert.equal(report.accepted, false);
  const found = outcomeOf(report, "evidence");
  assert.equal(found?.outcome, "failed");
  assert.match(found?.detail ?? "", why);
  assert.equal(outcomeOf(report, "binding")?.outcome, "not-checked");
}

const times = (startMs: number, endMs: number) => ({
  predicate: { startedAt: toTimestamp(startMs), finishedAt: toTimestamp(endMs) },
});

describe("a result's receipt whose Evidence is a token of MAA", () => {
  test("is verified offline by the pinned provider's key, and appraised", async () => {
    const appraisal = parsedPolicy("maa-sevsnpvm", {
      issuer: { equals: ISSUER },
      policyHash: { equals: POLICY_HASH },
      launchMeasurement: { equals: "02".repeat(48) },
    });
    const report = await verifyWith({ roots: { appraisal } });
    assert.equal(report.accepted, true, JSON.stringify(report.checks));
    for (const check of ["signature", "evidence", "binding", "appraisal", "job"])
      assert.equal(outcomeOf(report, check)?.outcome, "passed", check);
    assert.match(outcomeOf(report, "evidence")?.detail ?? "", /pinned provider's key/);
  });

  test("fails where its provider, or the key of that day, is not pinned, and says what to pin", async () => {
    await fails(
      { roots: { maaProviders: [] } },
      /token of https:\/\/contoso.*provider is not pinned.*maaProviders in roots\.json.*2026-11-24/,
    );
    const jwks = jwksOf(jwkOf(otherKey.publicKey, { kid: "newer" }));
    await fails(
      { roots: { maaProviders: [{ ...provider, jwks }] } },
      /its key jNol.* is not pinned/,
    );
  });

  test("fails under another key of that name, another policy of the provider, or another binding", async () => {
    const jwks = jwksOf(jwkOf(otherKey.publicKey));
    await fails({ roots: { maaProviders: [{ ...provider, jwks }] } }, /not signed by the key/);
    const policy = { hashes: [toBase64Url(sha256(utf8("another")))] };
    await fails({ roots: { maaProviders: [{ ...provider, policy }] } }, /not pinned/);
    const report = await verifyWith({ claims: { "x-ms-sevsnpvm-reportdata": "11".repeat(64) } });
    assert.equal(outcomeOf(report, "binding")?.outcome, "failed");
    assert.equal(report.accepted, false);
  });

  test("is good for a job that took longer than the token lives, and for no other time", async () => {
    assert.equal((await verifyWith(times(NOW_MS - 60_000, NOW_MS + 20 * HOUR_MS))).accepted, true);
    await fails(times(NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS), /seconds old, at most 600/);
    await fails(times(NOW_MS - 2 * HOUR_MS, NOW_MS - HOUR_MS), /of the future/);
    const expired = { claims: { exp: NOW - 20 } };
    await fails({ ...expired, ...times(NOW_MS + 300_000, NOW_MS + HOUR_MS) }, /past its exp/);
    await fails({ claims: { iat: undefined } }, /iat/);
  });

  test("fails with a pinned key that has private members", async () => {
    const { d } = providerKey.privateKey.export({ format: "jwk" });
    const jwks = jwksOf(jwkOf(providerKey.publicKey, { d }));
    await fails({ roots: { maaProviders: [{ ...provider, jwks }] } }, /private members/);
  });
});
