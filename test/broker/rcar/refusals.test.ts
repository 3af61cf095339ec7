import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { simulationPolicy } from "../../../src/attest/appraise/policy.ts";
import { toTimestamp } from "../../../src/base/index.ts";
import { applyPolicy, MEASUREMENT } from "../fixture.ts";
import type { Fixture } from "../fixture.ts";
import { attest, attestBody, begin, handshake, newGuestKey, resource } from "./guest.ts";
import {
  denied,
  guestOf,
  guestPolicyOf,
  makeResourceFixture,
  PATH,
  postResource,
  refused,
  releases,
  resourceOf,
} from "./resource-fixture.ts";

let fixture: Fixture;
before(async () => {
  fixture = await makeResourceFixture();
});
after(() => fixture.dispose());

describe("what a guest cannot do", () => {
  test("T150: a nonce is good for one Evidence: a second attestation of a session is refused", async () => {
    const guest = guestOf(fixture);
    const session = await begin(guest);
    assert.equal((await attest(guest, session)).status, 200);
    refused(await attest(guest, session), /^broker\.session: .*answered already/);
  });

  test("T150: a refused Evidence spends its session too", async () => {
    const guest = guestOf(fixture, { measurement: "b2".repeat(48) });
    const session = await begin(guest);
    refused(await attest(guest, session), denied);
    refused(await attest(guestOf(fixture, { key: guest.key }), session), /^broker\.session/);
    const last = (await releases(fixture)).at(-1);
    assert.equal(last?.decision, "denied");
    assert.match(last?.refusal?.message ?? "", /measurement is b2b2/);
  });

  test("T150: another session's nonce, and another session's Evidence, are refused", async () => {
    const guest = guestOf(fixture);
    const [one, two] = [await begin(guest), await begin(guest)];
    refused(await attest(guest, { cookie: one.cookie, nonce: two.nonce }), /^release\.nonce/);
    const evidence = attestBody(guest, two)["tee-evidence"];
    refused(await attest(guest, one, { "tee-evidence": evidence }), /^release\.binding/);
    assert.equal((await attest(guest, two)).status, 200);
  });

  test("T150: a refusal that quotes half a character of the guest's stands in the log", async () => {
    const guest = guestOf(fixture);
    // The second has its half where the reason is cut.
    for (const name of ["\ud800", ...["", "x"].map((odd) => odd + "\u{1f600}".repeat(1500))]) {
      const { length } = await releases(fixture);
      const session = await begin(guest);
      const evidence = { evidence: "AAAA", collateral: {}, [name]: 1 };
      const tee = { primary_evidence: evidence, additional_evidence: "" };
      const reply = await attest(guest, session, { "tee-evidence": tee });
      refused(reply, /^attest\.invalid: the sim-snp Evidence is not valid: Unrecognized key/);
      assert.ok(String(reply.json["detail"]).length < 2100);
      const [last, ...more] = (await releases(fixture)).slice(length);
      assert.equal(more.length, 0);
      assert.equal(last?.refusal?.code, "attest.invalid");
    }
  });

  test("T151: Evidence that binds another key than the one that is sent is refused", async () => {
    const guest = guestOf(fixture);
    const session = await begin(guest);
    const runtime = { nonce: session.nonce, "tee-pubkey": newGuestKey().jwk };
    refused(await attest(guest, session, { "runtime-data": runtime }), /^release\.binding/);
    assert.equal((await releases(fixture)).at(-1)?.refusal?.code, "release.binding");
  });

  test("T151: Evidence over the runtime data alone, without the additional evidence, is refused", async () => {
    const guest = guestOf(fixture);
    const session = await begin(guest);
    const { kty, crv, alg, x, y } = guest.key.jwk;
    const older = JSON.stringify({
      nonce: session.nonce,
      "tee-pubkey": { alg, crv, kty, x, y },
    });
    const reportData = new Uint8Array(64);
    reportData.set(createHash("sha384").update(older).digest());
    const primary = guest.evidence(reportData);
    refused(
      await attest(guest, session, {
        "tee-evidence": { primary_evidence: primary, additional_evidence: "" },
      }),
      /^release\.binding/,
    );
  });

  test("T152: no resource without attestation, by a foreign cookie, or by none", async () => {
    const guest = guestOf(fixture);
    const { cookie } = await begin(guest);
    refused(await resource(guest, PATH, { cookie }), /^broker\.session: .*attest first/);
    refused(await resource(guest, PATH, {}), /^broker\.session/);
    const foreign = `kbs-session-id=${"ab".repeat(32)}`;
    refused(await resource(guest, PATH, { cookie: foreign }), /^broker\.session/);
    refused(await resource(guest, PATH, { cookie: "kbs-session-id=x" }), /^broker\.session/);
    refused(await resource(guest, PATH, { cookie: `${cookie}; ${foreign}` }), /^broker\.session/);
    refused(await attest(guest, { cookie: foreign, nonce: "A".repeat(43).concat("=") }), /session/);
  });

  test("T152: a session ends after five minutes, its challenge after two", async () => {
    const own = await makeResourceFixture();
    try {
      const guest = guestOf(own);
      const { cookie, token } = await handshake(guest);
      const late = await begin(guest);
      own.time.nowMs += 120_000;
      refused(await attest(guest, late), /^broker\.session: .*over/);
      assert.equal((await resource(guest, PATH, { cookie })).status, 200);
      own.time.nowMs += 180_000;
      refused(await resource(guest, PATH, { cookie }), /^broker\.session: .*over/);
      refused(
        await resource(guest, PATH, { authorization: `Bearer ${token}` }),
        /broker\.session|attest\.not_verified/,
      );
    } finally {
      await own.dispose();
    }
  });

  test("T152: a token of another broker, a changed one, and one of a session of another process are refused", async () => {
    const other = await makeResourceFixture();
    try {
      const guest = guestOf(fixture);
      const { token } = await handshake(guest);
      const foreign = await handshake(guestOf(other));
      for (const bad of [foreign.token, `${token.slice(0, -4)}AAAA`])
        refused(
          await resource(guest, PATH, { authorization: `Bearer ${bad}` }),
          /^attest\.(?:not_verified|invalid)/,
        );
      const { app } = await fixture.openAgain();
      const elsewhere = guestOf(fixture, { channel: guestOf({ ...fixture, app }).channel });
      refused(
        await resource(elsewhere, PATH, { authorization: `Bearer ${token}` }),
        /^broker\.session: the token is of no session/,
      );
      const second = await handshake(guestOf(fixture));
      refused(
        await resource(guest, PATH, {
          authorization: `Bearer ${token}`,
          cookie: second.cookie,
        }),
        /^broker\.session/,
      );
    } finally {
      await other.dispose();
    }
  });

  test("T153: a resource of a policy that does not accept the guest is refused like one that is none", async () => {
    const path = "default/keys/other";
    const other = "c3".repeat(48);
    const base = guestPolicyOf(fixture, { name: "others", resources: [path] });
    assert.ok(base.appraisal !== null && "measurement" in base.appraisal);
    const appraisal = {
      ...base.appraisal,
      measurement: { oneOf: [other] },
    } as typeof base.appraisal;
    await applyPolicy(fixture, { ...base, appraisal });
    assert.equal((await postResource(fixture, await resourceOf(fixture, { path }))).status, 200);
    const guest = guestOf(fixture);
    const { cookie } = await handshake(guest);
    const reply = await resource(guest, path, { cookie });
    const none = await resource(guest, "default/keys/none", { cookie });
    refused(reply, denied);
    assert.equal(reply.text, none.text);
    const last = (await releases(fixture)).at(-2);
    assert.match(last?.refusal?.message ?? "", /measurement is a1a1/);
  });

  test("T153: a KEK that the policy does not grant, and a removed resource, are refused", async () => {
    const ungranted = "default/keys/ungranted";
    const removed = "default/keys/removed";
    await applyPolicy(
      fixture,
      guestPolicyOf(fixture, { name: "more", resources: [ungranted, removed] }),
    );
    const kek = fixture.keks.open;
    await postResource(fixture, await resourceOf(fixture, { path: ungranted, kek }));
    await postResource(fixture, await resourceOf(fixture, { path: removed }));
    const gone = { v: 1, path: removed, version: 2, sealed: null } as const;
    assert.equal((await postResource(fixture, gone)).status, 200);
    const guest = guestOf(fixture);
    const { cookie } = await handshake(guest);
    for (const path of [ungranted, removed])
      refused(await resource(guest, path, { cookie }), denied);
    const [first, second] = (await releases(fixture)).slice(-2);
    assert.equal(first?.refusal?.code, "release.not_granted");
    assert.match(second?.refusal?.message ?? "", /was removed/);
  });

  test("T153: a policy that was replaced decides anew for a session that attested before", async () => {
    const own = await makeResourceFixture();
    try {
      const guest = guestOf(own);
      const { cookie } = await handshake(guest);
      await applyPolicy(own, guestPolicyOf(own, { version: 2, grants: [] }));
      refused(await resource(guest, PATH, { cookie }), denied);
    } finally {
      await own.dispose();
    }
  });

  test("T153: a reference set that expires within a session gives nothing from then on", async () => {
    const own = await makeResourceFixture();
    try {
      const endMs = own.time.nowMs + 60_000;
      const set = { label: "image 1", state: "accepted", expiresAt: toTimestamp(endMs) } as const;
      const appraisal = {
        ...simulationPolicy([MEASUREMENT]),
        measurement: "reference" as const,
        references: [{ ...set, values: { measurement: MEASUREMENT } }],
      };
      await applyPolicy(own, guestPolicyOf(own, { version: 2, appraisal }));
      const guest = guestOf(own);
      const { cookie } = await handshake(guest);
      own.time.nowMs = endMs;
      assert.equal((await resource(guest, PATH, { cookie })).status, 200, "its last moment");
      own.time.nowMs = endMs + 1;
      refused(await resource(guest, PATH, { cookie }), denied);
      const last = (await releases(own)).at(-1);
      assert.match(last?.refusal?.message ?? "", /set "image 1" expired/);
    } finally {
      await own.dispose();
    }
  });
});
