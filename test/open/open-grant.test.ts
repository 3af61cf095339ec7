import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { CompactEncrypt, CompactSign } from "jose";
import { concatBytes, isPpmlError, sha256, toHex, toTimestamp } from "../../src/base/index.ts";
import { encodeGrantBundle, GRANT_JWE_TYPE, GRANT_JWS_TYPE } from "../../src/format/grant.ts";
import type { Grant, ReleaseKey } from "../../src/format/grant.ts";
import { encodeJcs } from "../../src/format/jcs.ts";
import { ecPublicJwkOf, ecPublicKeyOf, jwkThumbprint, signingKeyOf } from "../../src/format/jwk.ts";
import type { SigningKey } from "../../src/format/jwk.ts";
import { signObject } from "../../src/format/signed-object.ts";
import { openGrant } from "../../src/open/open-grant.ts";
import type { OpenedGrant } from "../../src/open/open-grant.ts";

const NOW_MS = Date.UTC(2026, 10, 24, 12);
const DAY_MS = 86_400_000;
const newKey = (): SigningKey =>
  signingKeyOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);

const root = newKey();
const releaseKey = newKey();
const recipientKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const recipient = jwkThumbprint(ecPublicJwkOf(recipientKey));
const nonce = randomBytes(32).toString("base64url");
const requestDigest = "ab".repeat(32);
const keyBytes = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
const ids = keyBytes.map(() => randomBytes(16).toString("base64url"));

const goodGrant: Grant = {
  v: 1,
  mode: "simulation",
  nonce,
  request: { kind: "job", digest: requestDigest },
  policy: { name: "analysis", digest: "cd".repeat(32) },
  recipient,
  keys: ids.map((id) => ({ id, kekId: "kek:a", kekVersion: "00".repeat(16) })),
  keysDigest: toHex(sha256(...keyBytes)),
  floors: [],
  logIndex: 3,
  issuedAt: toTimestamp(NOW_MS),
  expiresAt: toTimestamp(NOW_MS + 300_000),
};
const goodCertificate: ReleaseKey = {
  v: 1,
  mode: "simulation",
  jwk: releaseKey.publicJwk,
  notBefore: toTimestamp(NOW_MS - DAY_MS),
  notAfter: toTimestamp(NOW_MS + DAY_MS),
};

type Parts = {
  readonly grant?: Partial<Grant>;
  readonly payload?: Uint8Array;
  readonly certificate?: Partial<ReleaseKey>;
  readonly root?: SigningKey;
  readonly signer?: SigningKey;
  readonly keys?: readonly Uint8Array[];
  readonly jwsHeader?: Record<string, unknown>;
  readonly jweHeader?: Record<string, unknown>;
};

async function makeJwe(parts: Parts = {}): Promise<string> {
  const signer = parts.signer ?? releaseKey;
  const payload = parts.payload ?? encodeJcs({ ...goodGrant, ...parts.grant });
  const jws = await new CompactSign(payload)
    .setProtectedHeader({
      alg: "ES256",
      kid: signer.keyId,
      typ: GRANT_JWS_TYPE,
      ...parts.jwsHeader,
    })
    .sign(signer.privateKey);
  const content = { ...goodCertificate, ...parts.certificate };
  const certificate = signObject("release-key", content, parts.root ?? root);
  const bundle = encodeGrantBundle({ certificate, jws }, concatBytes(...(parts.keys ?? keyBytes)));
  return new CompactEncrypt(bundle)
    .setProtectedHeader({
      alg: "ECDH-ES+A256KW",
      enc: "A256GCM",
      kid: recipient,
      typ: GRANT_JWE_TYPE,
      ...parts.jweHeader,
    })
    .encrypt(ecPublicKeyOf(ecPublicJwkOf(recipientKey)));
}

function open(
  jwe: string,
  changes: Partial<Parameters<typeof openGrant>[0]> = {},
): Promise<OpenedGrant> {
  return openGrant({
    jwe,
    recipientKey,
    releaseRoot: root.publicJwk,
    expected: { nonce, requestKind: "job", requestDigest, mode: "simulation" },
    nowMs: NOW_MS,
    ...changes,
  });
}

async function refused(
  jwe: string,
  changes?: Partial<Parameters<typeof openGrant>[0]>,
): Promise<void> {
  await assert.rejects(open(jwe, changes), (error) => isPpmlError(error, "release.response"));
}

test("a good answer opens, and its keys are gone when it is disposed", async () => {
  const opened = await open(await makeJwe());
  assert.deepEqual([...opened.keys.keys()], ids);
  const [first, second] = [...opened.keys.values()];
  assert.equal(
    first?.expose((bytes) => bytes[0]),
    1,
  );
  assert.equal(
    second?.expose((bytes) => bytes[31]),
    2,
  );
  assert.equal(opened.grant.logIndex, 3);
  opened[Symbol.dispose]();
  assert.throws(() => first?.expose((bytes) => bytes), TypeError);
});

test("keys from a release key that the pinned root did not certify are refused", async () => {
  await refused(await makeJwe({ root: newKey() }));
  await refused(await makeJwe({ signer: newKey() }));
  await refused(await makeJwe(), { releaseRoot: newKey().publicJwk });
  // The root itself signs certificates, not grants.
  await refused(await makeJwe({ signer: root }));
});

test("a release key is refused outside its validity and in the other mode", async () => {
  const jwe = await makeJwe();
  await refused(jwe, { nowMs: NOW_MS + 2 * DAY_MS });
  await refused(jwe, { nowMs: NOW_MS - 2 * DAY_MS });
  await refused(await makeJwe({ certificate: { mode: "production" } }));
  const expected = { nonce, requestKind: "job", requestDigest, mode: "production" } as const;
  await refused(jwe, { expected });
});

test("an answer to another request, nonce or recipient is refused", async () => {
  const grants: readonly Partial<Grant>[] = [
    { nonce: randomBytes(32).toString("base64url") },
    { mode: "production" },
    { request: { kind: "job", digest: "00".repeat(32) } },
    { request: { kind: "owner", digest: requestDigest } },
    { recipient: newKey().keyId },
    { issuedAt: toTimestamp(NOW_MS + 120_000) },
    { expiresAt: toTimestamp(NOW_MS - 120_000) },
  ];
  for (const grant of grants) await refused(await makeJwe({ grant }));
});

test("key bytes other than those signed for are refused", async () => {
  const other = new Uint8Array(32).fill(3);
  await refused(await makeJwe({ keys: [other, other] }));
  await refused(await makeJwe({ keys: keyBytes.slice(0, 1) }));
  await refused(await makeJwe({ keys: [...keyBytes, other] }));
  const twice = goodGrant.keys[0];
  assert.ok(twice);
  await refused(await makeJwe({ grant: { keys: [twice, twice] } }));
  const short = keyBytes[0];
  assert.ok(short);
  await refused(await makeJwe({ keys: [short], grant: { keysDigest: toHex(sha256(short)) } }));
});

test("headers other than the protocol's are refused", async () => {
  await refused(await makeJwe({ jwsHeader: { typ: "JWT" } }));
  await refused(await makeJwe({ jwsHeader: { kid: newKey().keyId } }));
  await refused(await makeJwe({ jwsHeader: { more: 1 } }));
  await refused(await makeJwe({ jweHeader: { typ: "JWT" } }));
  await refused(await makeJwe({ jweHeader: { enc: "A128GCM" } }));
  await refused(await makeJwe({ jweHeader: { alg: "ECDH-ES" } }));
  await refused(await makeJwe({ jweHeader: { cty: "x" } }));
  await refused("");
  await refused("a.b.c.d.e");
});

test("a grant that is not in canonical form is refused", async () => {
  const payload = new TextEncoder().encode(JSON.stringify(goodGrant, null, 1));
  await refused(await makeJwe({ payload }));
});

test("another private key does not open it", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await refused(await makeJwe(), { recipientKey: privateKey });
});

test("every changed or cut answer is refused with the one error", async () => {
  const jwe = await makeJwe();
  await fc.assert(
    fc.asyncProperty(fc.nat(jwe.length - 1), fc.nat(63), async (at, digit) => {
      const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      const changed = jwe.slice(0, at) + base64[digit] + jwe.slice(at + 1);
      // The last digit of a part may hold bits that decode to nothing: then the bytes are the same.
      if (sameBytes(changed, jwe)) return;
      await refused(changed);
      await refused(jwe.slice(0, at));
    }),
    { numRuns: 150 },
  );
});

function sameBytes(a: string, b: string): boolean {
  return decoded(a) === decoded(b);
}

function decoded(text: string): string {
  return text
    .split(".")
    .map((part) => Buffer.from(part, "base64url").toString("hex"))
    .join(".");
}
