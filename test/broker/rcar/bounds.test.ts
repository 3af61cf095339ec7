import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { MAX_SESSIONS } from "../../../src/broker/rcar/sessions.ts";
import {
  applyPolicy,
  call,
  logEntries,
  makeFixture,
  newSigningKey,
  policyOf,
  requestOf,
} from "../fixture.ts";
import type { Fixture } from "../fixture.ts";
import {
  attest,
  attestBody,
  auth,
  begin,
  handshake,
  newGuestKey,
  reportDataOf,
  resource,
} from "./guest.ts";
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

describe("what a guest cannot ask", () => {
  test("T154: the job's keys are not had by the guests' path, and resources not by /v1", async () => {
    await applyPolicy(fixture, policyOf(fixture));
    // A guest's Evidence does not do for a job, nor a job's for a guest.
    const { request, tee, nonce } = await requestOf(fixture);
    const guest = guestOf(fixture);
    const session = await begin(guest);
    const { evidence, collateral } = request.evidence;
    refused(
      await attest(guest, session, {
        "tee-evidence": { primary_evidence: { evidence, collateral }, additional_evidence: "" },
      }),
      /^release\.binding/,
    );
    assert.ok(tee.encryption.asymmetricKeyType === "ec" && nonce.length === 43);
    const again = await begin(guest);
    const mixed = {
      ...request,
      evidence: fixture.platform.attest({
        measurement: new Uint8Array(48).fill(0xa1),
        reportData: reportDataOf(again.nonce, guest.key),
      }),
    };
    assert.equal((await call(fixture.app, "/v1/release", mixed)).code, "release.binding");
    // The resource's wrapped key under its KEK, which the job's policy does not grant.
    const { sealed } = await resourceOf(fixture);
    assert.ok(sealed);
    const asked = await requestOf(fixture, { keys: [sealed.key] });
    const answer = await call(fixture.app, "/v1/release", asked.request);
    assert.equal(answer.code, "release.not_granted");
    const listed = await call(fixture.app, "/v1/resources");
    assert.doesNotMatch(JSON.stringify(listed.body), /ciphertext|wrapped/);
  });

  test("T155: a production broker takes no simulated TEE and no sample, a simulation no sample either", async () => {
    const production = await makeFixture("production");
    try {
      for (const tee of ["sim-snp", "sim-tdx", "sample", "sampledevice"])
        refused(await auth({ ...guestOf(production), tee }), /^attest\.simulated/);
      // Not even where the session began as hardware's.
      const guest = { ...guestOf(production), tee: "snp" };
      refused(await attest(guest, await begin(guest)), /^attest\.(?:invalid|simulated)/);
    } finally {
      await production.dispose();
    }
    for (const tee of ["sample", "sampledevice", "sim-tdx"])
      refused(await auth({ ...guestOf(fixture), tee }), /^attest\.simulated/);
    refused(await auth({ ...guestOf(fixture), tee: "nvidia" }), /^attest\.unsupported/);
  });

  test("T156: another version, hash, key, algorithm or form is refused", async () => {
    const guest = guestOf(fixture);
    for (const version of ["0.3.0", "0.4.1", "1.0.0", "", "0.4"])
      refused(await auth(guest, { version }), /^broker\.invalid_request: expected version 0\.4\.0/);
    refused(
      await auth(guest, { "extra-params": { "supported-hash-algorithms": ["sha256"] } }),
      /sha384/,
    );
    assert.equal((await auth(guest, { "extra-params": "" })).status, 200);
    refused(await auth(guest, { more: 1 }), /^broker\.invalid_request/);
    const small = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({
      format: "jwk",
    });
    const big = { kty: "RSA", alg: "RSA-OAEP-256", n: "f".repeat(1400), e: "AQAB" };
    const { jwk } = newGuestKey("RSA");
    const ec = newGuestKey().jwk;
    for (const key of [
      { ...small, alg: "RSA-OAEP-256" },
      big,
      { ...jwk, alg: "RSA1_5" },
      { ...jwk, e: "AQ" },
      { ...ec, crv: "P-384" },
      { ...ec, y: ec.x },
      { ...ec, d: "AAAA" },
      { ...ec, alg: "ECDH-ES" },
    ]) {
      const session = await begin(guest);
      const runtime = { nonce: session.nonce, "tee-pubkey": key };
      refused(
        await attest(guest, session, { "runtime-data": runtime }),
        /^(?:broker\.invalid_request|format\.invalid)/,
      );
    }
  });

  test("T156: additional evidence, unknown members and hostile bodies are refused", async () => {
    const guest = guestOf(fixture);
    const session = await begin(guest);
    const evidence = attestBody(guest, session)["tee-evidence"] as Record<string, unknown>;
    refused(
      await attest(guest, session, { "tee-evidence": { ...evidence, additional_evidence: "{}" } }),
      /^attest\.unsupported/,
    );
    const headers = { cookie: (await begin(guest)).cookie, "content-type": "application/json" };
    const deep = `${"[".repeat(100)}${"]".repeat(100)}`;
    for (const body of [
      "",
      "{",
      "null",
      "[]",
      deep,
      '{"runtime-data":1}',
      "\u0000",
      "x".repeat(5_000_000),
    ]) {
      const options = { method: "POST" as const, path: "/kbs/v0/attest", headers, body };
      refused(await guest.channel(options), /^(?:broker\.invalid_request|format\.too_large)/);
    }
    const large = JSON.stringify({ version: "0.4.0", tee: "x".repeat(20_000), "extra-params": "" });
    refused(
      await guest.channel({ method: "POST", path: "/kbs/v0/auth", headers, body: large }),
      /^format\.too_large/,
    );
  });

  test("T156: a path that leaves its place, or is none, is no resource", async () => {
    const guest = guestOf(fixture);
    const { cookie } = await handshake(guest);
    const size = (await releases(fixture)).length;
    for (const path of [
      "default/passwords/..",
      "default/../passwords",
      "default/passwords/%2e%2e",
      "default/passwords/data%2fbase",
      "default/passwords/database%00",
      "default/passwords/data%2562ase",
      "default/passwords/a b",
      "default/passwords",
      "default/passwords/database/more",
      `default/passwords/${"a".repeat(65)}`,
      "default//database",
    ])
      refused(await resource(guest, path, { cookie }), /./, 404);
    refused(
      await guest.channel({ method: "GET", path: "/kbs/v0/other", headers: {}, body: null }),
      /./,
      404,
    );
    assert.equal((await releases(fixture)).length, size);
  });

  test("T157: a flood of sessions is bounded, and old ones make room", async () => {
    const own = await makeResourceFixture();
    try {
      const guest = guestOf(own);
      const { sessions, random } = own.state;
      const { nowMs } = own.time;
      while (sessions.size < MAX_SESSIONS) sessions.open({ tee: "sim-snp", nowMs, random });
      refused(await auth(guest), /^broker\.busy/);
      own.time.nowMs += 120_000;
      assert.equal((await auth(guest)).status, 200);
      assert.equal(sessions.size, 1);
    } finally {
      await own.dispose();
    }
  });

  test("T157: one session asks for a hundred resources at most", async () => {
    const guest = guestOf(fixture);
    const { cookie } = await handshake(guest);
    for (let count = 0; count < 100; count += 1) await resource(guest, "a/b/c", { cookie });
    refused(await resource(guest, PATH, { cookie }), /^broker\.session: .*100 resources/);
  });
});

describe("the owner's resources", () => {
  test("T158: only the owner puts a resource, and an older version never comes back", async () => {
    const path = "default/files/config";
    const first = await resourceOf(fixture, { path });
    assert.equal((await postResource(fixture, first, newSigningKey())).code, "format.signature");
    assert.equal((await postResource(fixture, first)).status, 200);
    assert.equal((await postResource(fixture, first)).status, 200);
    const again = await resourceOf(fixture, { path });
    assert.equal((await postResource(fixture, again)).code, "broker.resource");
    const gone = { v: 1, path, version: 2, sealed: null } as const;
    assert.equal((await postResource(fixture, gone)).status, 200);
    assert.equal((await postResource(fixture, first)).code, "broker.resource");
    const { body } = await call(fixture.app, "/v1/resources");
    const entries = body["resources"] as { path: string; kekId: string | null }[];
    assert.equal(entries.find((entry) => entry.path === path)?.kekId, null);
  });

  test("T158: a resource's content opens in its own place and version only", async () => {
    const own = await makeResourceFixture();
    try {
      const other = "default/passwords/moved";
      const { sealed } = await resourceOf(own);
      await applyPolicy(own, guestPolicyOf(own, { version: 2, resources: [PATH, other] }));
      // The owner's own signature does not make it another resource.
      await postResource(own, { v: 1, path: other, version: 1, sealed });
      const guest = guestOf(own);
      const { cookie } = await handshake(guest);
      refused(await resource(guest, other, { cookie }), denied);
      assert.equal((await releases(own)).at(-1)?.refusal?.code, "open.not_authentic");
    } finally {
      await own.dispose();
    }
  });

  test("a changed resource is an entry of the log", async () => {
    const { entries } = await logEntries(fixture);
    const text = entries.map(({ payload }) => Buffer.from(payload, "base64").toString("utf8"));
    assert.ok(text.some((entry) => entry.includes('"resource-changed"') && entry.includes(PATH)));
  });
});
