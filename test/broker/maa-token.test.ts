import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { sha256, toBase64Url, toHex, utf8 } from "../../src/base/index.ts";
import { openMaaProviders } from "../../src/broker/maa-providers.ts";
import type { MaaSetting } from "../../src/broker/maa-providers.ts";
import { encodeJcs } from "../../src/format/jcs.ts";
import type { ReleaseRequest } from "../../src/format/protocol.ts";
import type { RuntimeData } from "../../src/format/runtime-data.ts";
import { openGrant } from "../../src/open/open-grant.ts";
import { releasePolicyFor } from "../../src/release/policy.ts";
import { parsedPolicy } from "../attest/appraise/open-policy.ts";
import {
  ISSUER,
  jwkOf,
  KEY_ID,
  otherKey,
  POLICY_HASH,
  providerKey,
  snpClaims,
  tokenOf,
} from "../attest/maa-fixture.ts";
import type { Json } from "../attest/maa-fixture.ts";
import { applyPolicy, call, hexOf, makeFixture, NOW_MS, policyOf } from "./fixture.ts";
import { requestOf, wrapUnder } from "./fixture.ts";
import type { Answer, Fixture } from "./fixture.ts";

const LAUNCH = "02".repeat(48);
const OTHER = "https://fabrikam.weu.attest.azure.net";
const keysText = (...keys: readonly Json[]): string => JSON.stringify({ keys });
const good = keysText(jwkOf(providerKey.publicKey));

let folder = "";
let fixture: Fixture;
let asked: string[] = [];
let served = good;

const ports = {
  fetch: async (url: string) => {
    asked.push(url);
    return new Response(served);
  },
  now: () => fixture?.time.nowMs ?? NOW_MS,
  random: () => 0,
  pause: async () => undefined,
};

const settings = (changes: Partial<MaaSetting> = {}): readonly MaaSetting[] => [
  {
    issuer: ISSUER,
    policy: [POLICY_HASH],
    keys: { kind: "fetch", cacheFolder: join(folder, "cache") },
    ...changes,
  },
];

/** A production broker with these providers, and a policy for tokens of the first one. */
async function begin(pinned: readonly MaaSetting[]): Promise<void> {
  await fixture?.dispose();
  fixture = await makeFixture("production", {
    maaProviders: await openMaaProviders(pinned, ports),
  });
  const appraisal = parsedPolicy("maa-sevsnpvm", {
    issuer: { equals: ISSUER },
    policyHash: { equals: POLICY_HASH },
    launchMeasurement: { equals: LAUNCH },
    hostData: { equals: "73".repeat(32) },
    debug: { equals: false },
  });
  const release = releasePolicyFor({ mode: "production", measurements: [LAUNCH] });
  await applyPolicy(fixture, policyOf(fixture, { appraisal, release }));
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), "ppml-maa-"));
});
afterEach(() => {
  asked = [];
  served = good;
  rmSync(join(folder, "cache"), { recursive: true, force: true });
});
after(async () => {
  await fixture.dispose();
  rmSync(folder, { recursive: true });
});

/** The claims of a token that MAA would make over this runtime data. */
const bound = (runtimeData: RuntimeData): Json => ({
  "x-ms-runtime": runtimeData,
  "x-ms-sevsnpvm-reportdata": toHex(sha256(encodeJcs(runtimeData))) + "00".repeat(32),
});

/** A good request with a token in its Evidence's place. */
async function ask(change: Parameters<typeof tokenOf>[0] = {}) {
  const made = await requestOf(fixture);
  const claims = { ...bound(made.request.runtimeData), ...change.claims };
  return { ...made, request: withToken(made.request, tokenOf({ ...change, claims })) };
}

const withToken = (request: ReleaseRequest, token: string): ReleaseRequest => ({
  ...request,
  evidence: { type: "maa", evidence: toBase64Url(utf8(token)), collateral: {} },
});

const post = (request: ReleaseRequest): Promise<Answer> =>
  call(fixture.app, "/v1/release", request);

async function refuses(
  change: Parameters<typeof tokenOf>[0],
  expected: { code?: string; message: RegExp },
): Promise<void> {
  const { request } = await ask(change);
  const answer = await post(request);
  assert.equal(answer.code, expected.code ?? "attest.not_verified", answer.message);
  assert.match(answer.message, expected.message);
  assert.equal(answer.body["jwe"], undefined);
}

describe("a token of Microsoft Azure Attestation as Evidence", () => {
  test("of a pinned provider, bound to the job, it gets the job's keys; the provider is asked once", async () => {
    await begin(settings());
    for (let i = 0; i < 2; i += 1) {
      const one = await wrapUnder(fixture, fixture.keks.open);
      const { request, tee, nonce, jobDigest } = await ask();
      const keys = { ...request, keys: [one.key] };
      const answer = await post(keys);
      assert.equal(answer.status, 200, answer.message);
      using opened = await openGrant({
        jwe: String(answer.body["jwe"]),
        recipientKey: tee.encryption,
        releaseRoot: fixture.state.db.identity.releaseRoot,
        expected: { nonce, requestKind: "job", requestDigest: jobDigest, mode: "production" },
        nowMs: NOW_MS,
      });
      assert.equal(hexOf(opened.keys.get(one.key.id)), one.hex);
    }
    assert.deepEqual(asked, [`${ISSUER}/certs`]);
  });

  test("T81: a provider that is not pinned is refused by the broker, and nobody is asked", async () => {
    await begin(settings());
    await refuses(
      { claims: { iss: OTHER }, header: { jku: `${OTHER}/certs` } },
      {
        message: /fabrikam.*pin that provider/,
      },
    );
    await begin([]);
    await refuses({}, { message: /expected a token of a pinned provider/ });
    assert.deepEqual(asked, []);
  });

  test("another key, policy, job or measurement, and a token that is old, are refused", async () => {
    await begin(settings());
    await refuses({ key: otherKey.privateKey }, { message: /not signed by the key/ });
    await refuses({ header: { kid: "unknown" } }, { message: /has no key "unknown"/ });
    const hash = toBase64Url(sha256(utf8("a changed policy")));
    await refuses({ claims: { "x-ms-policy-hash": hash } }, { message: /not pinned/ });
    const measured = { ...snpClaims, "x-ms-sevsnpvm-launchmeasurement": "03".repeat(48) };
    await refuses({ tee: measured }, { code: "release.denied", message: /launchMeasurement/ });
    const other = { "x-ms-sevsnpvm-reportdata": snpClaims["x-ms-sevsnpvm-reportdata"] };
    await refuses({ claims: other }, { code: "release.binding", message: /./ });
    const old = { iat: NOW_MS / 1000 - 700, nbf: NOW_MS / 1000 - 700 };
    await refuses({ claims: old }, { message: /700 seconds old, at most 600/ });
    await refuses({ header: { alg: "none" } }, { message: /RS256/ });
    assert.deepEqual(asked, [`${ISSUER}/certs`], "an unknown key does not make it ask at once");
  });

  test("keys from a file need no network; the file is read when the broker starts", async () => {
    const path = join(folder, "certs.json");
    writeFileSync(path, good);
    await begin(settings({ keys: { kind: "file", path } }));
    assert.equal((await post((await ask()).request)).status, 200);
    assert.deepEqual(asked, []);
    await assert.rejects(
      openMaaProviders(settings({ keys: { kind: "file", path: join(folder, "none") } }), ports),
      { code: "attest.collateral", message: /no such file/ },
    );
  });

  test("a new key of the provider is fetched after five minutes, and a provider that is down is told", async () => {
    await begin(settings());
    assert.equal((await post((await ask()).request)).status, 200);
    served = keysText(jwkOf(otherKey.publicKey, { kid: "new" }));
    const change = { header: { kid: "new" }, key: otherKey.privateKey };
    await refuses(change, { message: /has no key "new"/ });
    fixture.time.nowMs += 5 * 60_000;
    assert.equal((await post((await ask(change)).request)).status, 200);
    assert.equal(asked.length, 2);
    served = "down";
    rmSync(join(folder, "cache"), { recursive: true });
    const answer = await post((await ask(change)).request);
    assert.equal(answer.code, "attest.fetch", answer.message);
    assert.equal(answer.status, 503);
  });

  test("a provider that is pinned twice is refused", async () => {
    await begin([...settings(), ...settings()]);
    await refuses({}, { message: /pinned more than once/ });
  });

  test("the key that a token names is looked for, not its jku", async () => {
    await begin(settings());
    const header = { jku: `${OTHER}/certs`, kid: KEY_ID };
    await refuses({ header }, { message: /names other keys than its provider's/ });
    assert.deepEqual(asked, [`${ISSUER}/certs`]);
  });
});
