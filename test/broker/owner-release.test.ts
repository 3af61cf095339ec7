import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { toTimestamp } from "../../src/base/index.ts";
import { ecPublicJwkOf } from "../../src/format/jwk.ts";
import type { SigningKey } from "../../src/format/jwk.ts";
import type { WrappedLocalKey } from "../../src/format/kek.ts";
import type { OwnerRequest } from "../../src/format/protocol.ts";
import { envelopeDigest, signObject } from "../../src/format/signed-object.ts";
import type { Envelope } from "../../src/format/signed-object.ts";
import { openGrant } from "../../src/open/open-grant.ts";
import { auditLines } from "../../src/receipt/audit.ts";
import type { Policy } from "../../src/release/policy.ts";
import {
  applyPolicy,
  call,
  challenge,
  hexOf,
  jobOf,
  logEntries,
  makeFixture,
  newSigningKey,
  NOW_MS,
  OUTPUT_DATASET,
  policyOf,
  requestOf as jobRequestOf,
  wrapUnder,
} from "./fixture.ts";
import type { Answer, Fixture } from "./fixture.ts";

let fixture: Fixture;
const officer = newSigningKey();

before(async () => {
  fixture = await makeFixture();
  await applyPolicy(fixture, ownerPolicy());
  await applyPolicy(fixture, policyOf(fixture));
});
after(() => fixture.dispose());

function ownerPolicy(changes: Partial<Policy> = {}): Policy {
  return policyOf(fixture, {
    name: "results",
    appraisal: null,
    release: null,
    jobs: null,
    resources: [],
    grants: [fixture.keks.result.kekId],
    ownerOpen: [fixture.owner.keyId, officer.publicJwk],
    ...changes,
  });
}

async function requestOf(
  key: WrappedLocalKey,
  options: { readonly signer?: SigningKey; readonly changes?: Partial<OwnerRequest> } = {},
): Promise<{ request: Envelope; recipientKey: KeyObject; nonce: string }> {
  const recipientKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const content: OwnerRequest = {
    v: 1,
    nonce: await challenge(fixture),
    policy: "results",
    purpose: "read the result",
    recipient: ecPublicJwkOf(recipientKey),
    keys: [key],
    datasets: [OUTPUT_DATASET],
    issuedAt: toTimestamp(NOW_MS),
    ...options.changes,
  };
  const request = signObject("owner-request", content, options.signer ?? fixture.owner);
  return { request, recipientKey, nonce: content.nonce };
}

const post = (request: Envelope): Promise<Answer> =>
  call(fixture.app, "/v1/owner-release", { v: 1, request });

describe("opening by the owner", () => {
  test("the owner, by thumbprint, and a named key get what the policy grants, once", async () => {
    const { key, hex } = await wrapUnder(fixture, fixture.keks.result);
    for (const signer of [fixture.owner, officer]) {
      const { request, recipientKey, nonce } = await requestOf(key, { signer });
      const answer = await post(request);
      assert.equal(answer.status, 200, answer.message);
      using opened = await openGrant({
        jwe: String(answer.body["jwe"]),
        recipientKey,
        releaseRoot: fixture.state.db.identity.releaseRoot,
        expected: {
          nonce,
          requestKind: "owner",
          requestDigest: envelopeDigest(request),
          mode: "simulation",
        },
        nowMs: NOW_MS,
      });
      assert.equal(hexOf(opened.keys.get(key.id)), hex);
      assert.equal((await post(request)).code, "release.nonce");
    }
  });

  test("a key that the policy does not name opens nothing", async () => {
    const { key } = await wrapUnder(fixture, fixture.keks.result);
    const { request } = await requestOf(key, { signer: newSigningKey() });
    assert.equal((await post(request)).code, "release.owner");
    const { entries } = await logEntries(fixture);
    assert.match(auditLines(entries, 0).at(-1) ?? "", /refused the owner: release\.owner/);
  });

  test("an input KEK that the policy does not grant stays closed to the owner", async () => {
    const { key } = await wrapUnder(fixture, fixture.keks.open);
    const { request } = await requestOf(key);
    const { code, message } = await post(request);
    assert.equal(code, "release.not_granted");
    // Said to a person, whose policy it is: no job is there.
    assert.match(message, /name a policy that lets you open these data in person/);
  });

  test("a policy without ownerOpen opens nothing to its own signer", async () => {
    const { key } = await wrapUnder(fixture, fixture.keks.result);
    const { request } = await requestOf(key, { changes: { policy: "analysis" } });
    assert.equal((await post(request)).code, "release.owner");
  });

  test("a thumbprint of another key than the owner's names nobody", async () => {
    const stranger = newSigningKey();
    await applyPolicy(fixture, ownerPolicy({ name: "strange", ownerOpen: [stranger.keyId] }));
    const { key } = await wrapUnder(fixture, fixture.keks.result);
    const { request } = await requestOf(key, {
      signer: stranger,
      changes: { policy: "strange" },
    });
    assert.equal((await post(request)).code, "release.owner");
  });

  test("a job under a policy for the owner alone gets nothing", async () => {
    const job = jobOf(fixture, { policy: "results" });
    const asked = await jobRequestOf(fixture, { job });
    assert.equal((await call(fixture.app, "/v1/release", asked.request)).code, "release.job");
  });
});

describe("policies in force", () => {
  test("a policy of another signer is refused", async () => {
    const object = signObject("policy", ownerPolicy({ version: 9 }), newSigningKey());
    const { code } = await call(fixture.app, "/v1/policies", { v: 1, object });
    assert.equal(code, "format.signature");
  });

  test("an older policy does not come back, and the same one changes nothing", async () => {
    const first = ownerPolicy({ name: "turn" });
    const second = { ...first, version: 2, grants: [] };
    await applyPolicy(fixture, first);
    await applyPolicy(fixture, second);
    const { length } = (await logEntries(fixture)).entries;
    await applyPolicy(fixture, second);
    assert.equal((await logEntries(fixture)).entries.length, length);
    const object = signObject("policy", first, fixture.owner);
    const answer = await call(fixture.app, "/v1/policies", { v: 1, object });
    assert.equal(answer.code, "release.policy");
    const { body } = await call(fixture.app, "/v1/policies/turn");
    assert.equal(
      envelopeDigest(body["object"] as Envelope),
      envelopeDigest(signObject("policy", second, fixture.owner)),
    );
  });

  test("a policy that nobody could use is not put in force", async () => {
    const object = signObject(
      "policy",
      ownerPolicy({ name: "none", ownerOpen: [] }),
      fixture.owner,
    );
    assert.equal(
      (await call(fixture.app, "/v1/policies", { v: 1, object })).code,
      "release.policy",
    );
    assert.equal((await call(fixture.app, "/v1/policies/none")).status, 404);
  });
});
