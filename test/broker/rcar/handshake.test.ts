import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { flattenedDecrypt } from "jose";
import type { FlattenedJWE } from "jose";
import { TRUSTEE_PROFILE } from "../../../src/attest/ear/ear.ts";
import { earTeePubkey } from "../../../src/attest/index.ts";
import { verifyEar } from "../../../src/attest/ear/verify-ear.ts";
import { fromUtf8 } from "../../../src/base/index.ts";
import { ecPublicKeyOf, jwkThumbprint } from "../../../src/format/jwk.ts";
import { verifyLog } from "../../../src/receipt/index.ts";
import { applyPolicy, logEntries } from "../fixture.ts";
import type { Fixture } from "../fixture.ts";
import { attest, begin, handshake, newGuestKey, openAnswer, resource } from "./guest.ts";
import {
  CONTENT,
  guestOf,
  guestPolicyOf,
  makeResourceFixture,
  PATH,
  refused,
  releases,
} from "./resource-fixture.ts";

let fixture: Fixture;
before(async () => {
  fixture = await makeResourceFixture();
});
after(() => fixture.dispose());

describe("a guest's handshake", () => {
  for (const kind of ["P-256", "P-521", "RSA"] as const)
    test(`a guest with a key of ${kind} gets the resource by cookie and by token, and jose opens it too`, async () => {
      const guest = guestOf(fixture, { key: newGuestKey(kind) });
      const { cookie, token } = await handshake(guest);
      for (const headers of [{ cookie }, { authorization: `Bearer ${token}` }]) {
        const reply = await resource(guest, PATH, headers);
        assert.equal(reply.status, 200, reply.text);
        assert.equal(fromUtf8(openAnswer(guest.key, reply)), CONTENT);
        const { plaintext, protectedHeader } = await flattenedDecrypt(
          reply.json as unknown as FlattenedJWE,
          guest.key.privateKey,
        );
        assert.equal(fromUtf8(plaintext), CONTENT);
        assert.equal(protectedHeader?.alg, guest.key.jwk["alg"]);
      }
    });

  test("the protected header is, byte for byte, what CoCo's guests write again", async () => {
    const guest = guestOf(fixture);
    const { cookie } = await handshake(guest);
    const { json } = await resource(guest, PATH, { cookie });
    const text = Buffer.from(String(json["protected"]), "base64url").toString("utf8");
    assert.match(
      text,
      /^\{"alg":"ECDH-ES\+A256KW","enc":"A256GCM","epk":\{"crv":"P-256","kty":"EC","x":"[\w-]{43}","y":"[\w-]{43}"\}\}$/,
    );
    assert.deepEqual(Object.keys(json), ["protected", "encrypted_key", "iv", "ciphertext", "tag"]);
  });

  test("the token is an EAR in Trustee's profile that carries the guest's key and says SIMULATED", async () => {
    const guest = guestOf(fixture);
    const { token } = await handshake(guest);
    const { ear } = await verifyEar(token, {
      keys: [{ algorithm: "ES256", publicKey: ecPublicKeyOf(fixture.state.db.identity.earKey) }],
      profiles: [TRUSTEE_PROFILE],
      nonce: "by-age",
      maxAgeSeconds: 300,
      simulated: true,
      nowMs: fixture.time.nowMs,
    });
    assert.deepEqual(earTeePubkey(ear), guest.key.jwk);
    assert.equal(ear.submods["cpu0"]?.status, "none");
    assert.deepEqual(ear.submods["cpu0"]?.policyIds, ["guests"]);
  });

  test("every attestation and every release is an entry of the log, in the order of the answers", async () => {
    const size = (await releases(fixture)).length;
    const guest = guestOf(fixture);
    const { cookie } = await handshake(guest);
    await resource(guest, PATH, { cookie });
    await resource(guest, "default/passwords/other", { cookie });
    const all = (await releases(fixture)).slice(size);
    assert.deepEqual(
      all.map(({ request, decision, name }) => [request.kind, decision, name]),
      [
        ["attestation", "granted", "sim-snp"],
        ["resource", "granted", PATH],
        ["resource", "denied", "default/passwords/other"],
      ],
    );
    const [attested, released, not] = all;
    const { x = "", y = "" } = guest.key.jwk;
    const kty = "EC";
    const crv = "P-256";
    for (const entry of all) assert.equal(entry.encryptionKey, jwkThumbprint({ kty, crv, x, y }));
    assert.equal(attested?.policy?.name, "guests");
    assert.equal(attested?.attestation?.accepted, true);
    assert.deepEqual(released?.keks, [fixture.keks.secret.kekId]);
    assert.equal(released?.evidenceDigest, attested?.evidenceDigest);
    assert.match(not?.refusal?.message ?? "", /has no resource/);
    const { entries, head } = await logEntries(fixture);
    const { logKey } = fixture.state.db.identity;
    verifyLog({ entries, head, logKey, since: null });
  });

  test("init-data is taken where the Evidence binds it, cut to HOST_DATA's 32 bytes", async () => {
    const body = 'algorithm = "sha384"\nversion = "0.1.0"\n\n[data]\n"a" = "b"\n';
    const hostData = new Uint8Array(createHash("sha384").update(body).digest().subarray(0, 32));
    const base = guestPolicyOf(fixture, { name: "any-init-data" });
    assert.ok(base.appraisal?.tee === "sim-snp");
    await applyPolicy(fixture, { ...base, appraisal: { ...base.appraisal, hostData: "any" } });
    const guest = guestOf(fixture, { hostData });
    const initData = { format: "toml", body };
    const good = await attest(guest, await begin(guest), { "init-data": initData });
    assert.equal(good.status, 200, good.text);
    const other = { format: "toml", body: `${body}\n` };
    refused(
      await attest(guest, await begin(guest), { "init-data": other }),
      /^attest\.not_verified: .*HOST_DATA/,
    );
  });
});
