import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { toTimestamp } from "../../src/base/index.ts";
import type { Grant } from "../../src/format/grant.ts";
import { jobSchema } from "../../src/format/job.ts";
import { jwkThumbprint } from "../../src/format/jwk.ts";
import type { ReleaseRequest } from "../../src/format/protocol.ts";
import { receiptSchema, RELEASE_PREDICATE } from "../../src/format/receipt.ts";
import type { ReleasePredicate } from "../../src/format/receipt.ts";
import { peekObject, signObject } from "../../src/format/signed-object.ts";
import { openGrant } from "../../src/open/open-grant.ts";
import type { OpenedGrant } from "../../src/open/open-grant.ts";
import {
  applyPolicy,
  call,
  challenge,
  hexOf,
  INPUT_DATASET,
  jobOf,
  logEntries,
  makeFixture,
  newSigningKey,
  newTee,
  NOW_MS,
  OUTPUT_DATASET,
  policyOf,
  randomNonce,
  requestOf,
  runtimeDataOf,
  SQL_DIGEST,
  wrapUnder,
} from "./fixture.ts";
import type { Answer, Fixture, Tee } from "./fixture.ts";

let fixture: Fixture;
before(async () => {
  fixture = await makeFixture();
  await applyPolicy(fixture, policyOf(fixture));
});
after(() => fixture.dispose());

const post = (request: ReleaseRequest): Promise<Answer> =>
  call(fixture.app, "/v1/release", request);

function open(
  answer: Answer,
  asked: { readonly tee: Tee; readonly nonce: string; readonly jobDigest: string },
): Promise<OpenedGrant> {
  assert.equal(answer.status, 200, answer.message);
  return openGrant({
    jwe: String(answer.body["jwe"]),
    recipientKey: asked.tee.encryption,
    releaseRoot: fixture.state.db.identity.releaseRoot,
    expected: {
      nonce: asked.nonce,
      requestKind: "job",
      requestDigest: asked.jobDigest,
      mode: "simulation",
    },
    nowMs: NOW_MS,
  });
}

async function lastRelease(): Promise<ReleasePredicate> {
  const { entries } = await logEntries(fixture);
  const envelope = entries.at(-1);
  assert.ok(envelope);
  const { payload } = peekObject({ kind: "receipt", schema: receiptSchema, envelope });
  assert.ok(payload.predicateType === RELEASE_PREDICATE);
  return payload.predicate;
}

/** The refusal has the code, stands in the log, and the nonce is gone. */
async function refused(request: ReleaseRequest, code: string, status = 403): Promise<Answer> {
  const size = (await logEntries(fixture)).entries.length;
  const answer = await post(request);
  assert.equal(answer.code, code, answer.message);
  assert.equal(answer.status, status);
  assert.equal(answer.body["jwe"], undefined);
  assert.equal((await logEntries(fixture)).entries.length, size + 1);
  const release = await lastRelease();
  assert.equal(release.decision, "denied");
  assert.equal(release.refusal?.code, code);
  const again = await post(request);
  assert.equal(again.code, "release.nonce");
  return answer;
}

describe("a release to an attested job", () => {
  test("an approved job gets exactly the keys that it asked for, and the log says so", async () => {
    const one = await wrapUnder(fixture, fixture.keks.open);
    const two = await wrapUnder(fixture, fixture.keks.result);
    const asked = await requestOf(fixture, { keys: [one.key, two.key] });
    using opened = await open(await post(asked.request), asked);
    assert.deepEqual([...opened.keys.keys()], [one.key.id, two.key.id]);
    assert.equal(hexOf(opened.keys.get(one.key.id)), one.hex);
    assert.equal(hexOf(opened.keys.get(two.key.id)), two.hex);
    const grant: Grant = opened.grant;
    assert.deepEqual(
      grant.floors.map(({ datasetId, minVersion }) => [datasetId, minVersion]),
      [
        [INPUT_DATASET, 0],
        [OUTPUT_DATASET, 0],
      ],
    );
    const release = await lastRelease();
    assert.equal(release.decision, "granted");
    assert.equal(release.request.digest, asked.jobDigest);
    assert.equal(release.keyCount, 2);
    assert.equal(release.attestation?.simulated, true);
    assert.equal(release.signingKey, asked.tee.signing.keyId);
    assert.equal((await logEntries(fixture)).entries.length - 1, grant.logIndex);
  });

  test("a replayed nonce is refused", async () => {
    const asked = await requestOf(fixture);
    (await open(await post(asked.request), asked))[Symbol.dispose]();
    const size = (await logEntries(fixture)).entries.length;
    const again = await post(asked.request);
    assert.equal(again.code, "release.nonce");
    assert.equal(again.status, 409);
    assert.equal((await logEntries(fixture)).entries.length, size);
  });

  test("a nonce that the broker never made is refused", async () => {
    const asked = await requestOf(fixture, { nonce: randomNonce() });
    assert.equal((await post(asked.request)).code, "release.nonce");
  });

  test("an expired nonce is refused", async () => {
    const asked = await requestOf(fixture);
    fixture.time.nowMs += 120_000;
    try {
      assert.equal((await post(asked.request)).code, "release.nonce");
    } finally {
      fixture.time.nowMs = NOW_MS;
    }
  });

  test("Evidence made for another job is refused", async () => {
    const asked = await requestOf(fixture);
    const other = signObject("job", jobOf(fixture, { name: "other" }), fixture.owner);
    await refused({ ...asked.request, job: other }, "release.binding");
  });

  test("a TEE key put in another's place is refused", async () => {
    const asked = await requestOf(fixture);
    const runtimeData = runtimeDataOf(newTee(), asked.nonce, asked.jobDigest);
    await refused({ ...asked.request, runtimeData }, "release.binding");
  });

  test("Evidence made for another nonce is refused", async () => {
    const asked = await requestOf(fixture);
    const nonce = await challenge(fixture);
    const runtimeData = { ...asked.request.runtimeData, nonce };
    await refused({ ...asked.request, runtimeData }, "release.binding");
  });

  test("runtime data whose keys are not what they are called is refused", async () => {
    const tee = newTee();
    const { request, nonce, jobDigest } = await requestOf(fixture, { tee });
    const good = runtimeDataOf(tee, nonce, jobDigest);
    const [enc, sig] = good.keys;
    const variants = [
      { ...good, keys: [sig, enc] as [typeof sig, typeof enc] },
      {
        ...good,
        keys: [enc, { ...enc, use: "sig" as const }] as [typeof enc, typeof enc],
      },
      { ...good, keys: [enc, { ...sig, kid: "other" }] as [typeof enc, typeof sig] },
      { ...good, "tee-pubkey": newSigningKey().publicJwk },
    ];
    for (const variant of variants) {
      const runtimeData = { ...variant, nonce: await challenge(fixture) };
      const evidence = fixture.attest(runtimeData);
      await refused({ ...request, runtimeData, evidence }, "release.binding");
    }
  });

  test("code of another measurement is refused, with both measurements", async () => {
    const asked = await requestOf(fixture, { measurement: "b2".repeat(48) });
    const { message } = await refused(asked.request, "release.denied");
    assert.match(message, /measurement is b2b2.*the policy wants a1a1/);
  });

  test("Evidence with a changed byte is refused", async () => {
    const asked = await requestOf(fixture);
    const bytes = Buffer.from(asked.request.evidence.evidence, "base64url");
    bytes[0x90] = (bytes[0x90] ?? 0) ^ 1;
    const evidence = { ...asked.request.evidence, evidence: bytes.toString("base64url") };
    await refused({ ...asked.request, evidence }, "attest.not_verified");
  });

  test("a KEK that the policy does not grant refuses the whole request, by its name", async () => {
    const granted = await wrapUnder(fixture, fixture.keks.open);
    const other = await wrapUnder(fixture, fixture.keks.secret);
    const asked = await requestOf(fixture, { keys: [granted.key, other.key] });
    const { message } = await refused(asked.request, "release.not_granted");
    assert.ok(message.includes(fixture.keks.secret.kekId));
    assert.ok(!message.includes(fixture.keks.open.kekId));
  });

  test("a wrapped key pasted under a granted KEK's name gives nothing", async () => {
    const granted = (await wrapUnder(fixture, fixture.keks.open)).key;
    const secret = (await wrapUnder(fixture, fixture.keks.secret)).key;
    const pasted = { ...secret, kekId: granted.kekId, kekVersion: granted.kekVersion };
    const asked = await requestOf(fixture, { keys: [granted, pasted] });
    await refused(asked.request, "key.unwrap_failed");
  });

  test("a job of a signer that the policy does not name is refused", async () => {
    const asked = await requestOf(fixture, { signer: newSigningKey() });
    await refused(asked.request, "release.job");
  });

  test("a job whose signature was made for other content is refused", async () => {
    const asked = await requestOf(fixture);
    const changed = signObject("job", jobOf(fixture, { name: "changed" }), newSigningKey());
    const job = { ...changed, signatures: asked.request.job.signatures };
    const digest = peekObject({
      kind: "job",
      schema: jobSchema,
      envelope: job,
    }).digest;
    const runtimeData = runtimeDataOf(asked.tee, asked.nonce, digest);
    const evidence = fixture.attest(runtimeData);
    await refused({ ...asked.request, job, runtimeData, evidence }, "release.job");
  });

  test("an expired job is refused", async () => {
    const job = jobOf(fixture, { expiresAt: toTimestamp(NOW_MS) });
    await refused((await requestOf(fixture, { job })).request, "format.expired");
  });

  test("a changed query is refused", async () => {
    const code = [{ kind: "sql" as const, name: "delays", sha256: "0".repeat(64) }];
    const asked = await requestOf(fixture, { job: jobOf(fixture, { code }) });
    const { message } = await refused(asked.request, "release.job");
    assert.match(message, /delays has the digest 0000/);
  });

  test("T161: of a job of several queries the policy has to approve every one", async () => {
    const approved = { kind: "sql" as const, name: "delays", sha256: SQL_DIGEST };
    const other = { kind: "sql" as const, name: "other", sha256: "0".repeat(64) };
    for (const code of [
      [approved, other],
      [other, approved],
      [approved, { ...approved, name: "again" }, other],
    ]) {
      const asked = await requestOf(fixture, { job: jobOf(fixture, { code }) });
      const { message } = await refused(asked.request, "release.job");
      assert.match(message, /other has the digest 0000/);
    }
    const code = [approved, { ...approved, name: "again" }];
    const asked = await requestOf(fixture, { job: jobOf(fixture, { code }) });
    assert.equal((await call(fixture.app, "/v1/release", asked.request)).message, "");
  });

  test("arguments that the policy does not list are refused", async () => {
    const asked = await requestOf(fixture, { job: jobOf(fixture, { arguments: ["--all"] }) });
    await refused(asked.request, "release.job");
  });

  test("another purpose is refused", async () => {
    const asked = await requestOf(fixture, { job: jobOf(fixture, { purpose: "marketing" }) });
    await refused(asked.request, "release.job");
  });

  test("another output key is refused", async () => {
    const job = jobOf(fixture);
    const output = { ...job.output, kekThumbprint: jwkThumbprint(newSigningKey().publicJwk) };
    const asked = await requestOf(fixture, { job: { ...job, output } });
    await refused(asked.request, "release.job");
  });

  test("a job that names a policy which is not in force is refused", async () => {
    const asked = await requestOf(fixture, { job: jobOf(fixture, { policy: "other" }) });
    await refused(asked.request, "release.policy", 404);
  });

  test("a disabled KEK refuses the request, and nothing of it is released", async () => {
    const asked = await requestOf(fixture);
    await fixture.vault.disableKek(fixture.keks.open.kekId);
    try {
      await refused(asked.request, "key.disabled");
    } finally {
      await fixture.vault.enableKek(fixture.keks.open.kekId);
    }
  });

  test("a TEE's signing key serves one release only", async () => {
    const tee = newTee();
    const first = await requestOf(fixture, { tee });
    (await open(await post(first.request), first))[Symbol.dispose]();
    const second = await requestOf(fixture, { tee });
    await refused(second.request, "release.binding");
  });

  test("an empty list of keys is a release too: floors alone", async () => {
    const asked = await requestOf(fixture, { keys: [] });
    using opened = await open(await post(asked.request), asked);
    assert.equal(opened.keys.size, 0);
    assert.equal(opened.grant.floors.length, 2);
  });

  test("claims that do not meet the release policy are refused in spite of the appraisal", async () => {
    const policy = policyOf(fixture, { name: "strict" });
    const first = policy.release?.anyOf[0];
    assert.ok(policy.release !== null && first !== undefined && "allOf" in first);
    const allOf = [...first.allOf, { claim: "x-ms-compliance-status", equals: "azure" }];
    const release = { ...policy.release, anyOf: [{ authority: first.authority, allOf }] };
    await applyPolicy(fixture, { ...policy, release });
    const asked = await requestOf(fixture, { job: jobOf(fixture, { policy: "strict" }) });
    const { message } = await refused(asked.request, "release.denied");
    assert.match(message, /x-ms-compliance-status.*the claim is missing/);
  });
});

describe("a production broker", () => {
  test("production refuses simulated Evidence and simulated policies", async () => {
    const production = await makeFixture("production");
    try {
      const policy = policyOf(production);
      const object = signObject("policy", policy, production.owner);
      const answer = await call(production.app, "/v1/policies", { v: 1, object });
      assert.equal(answer.code, "release.policy");
      assert.match(answer.message, /simulated/);
      // Even with such a policy in force (a broker from before), simulated Evidence gets nothing.
      const { db } = production.state;
      db.transaction(() => db.put("policies", [policy.name, 1, "00", JSON.stringify(object)]));
      const asked = await requestOf(production);
      const release = await call(production.app, "/v1/release", asked.request);
      assert.equal(release.code, "attest.simulated");
      assert.equal(release.status, 403);
    } finally {
      await production.dispose();
    }
  });
});
