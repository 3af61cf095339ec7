import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { test } from "node:test";
import { decodeCbor } from "../../../src/attest/cbor/decode.ts";
import type { CborValue } from "../../../src/attest/cbor/decode.ts";
import { encodeCbor } from "../../../src/attest/cbor/encode.ts";
import {
  encodeRaTlsClaims,
  encodeTaggedQuote,
} from "../../../src/attest/collect/ra-tls-certificate.ts";
import {
  RA_TLS_OID,
  raTlsReportData,
  readRaTlsCertificate,
} from "../../../src/attest/evidence/ra-tls.ts";
import { extension, issueCertificate } from "../../../src/attest/x509/issue-certificate.ts";
import { derOid } from "../../../src/attest/der/write.ts";
import { parseCertificate } from "../../../src/attest/x509/certificate.ts";
import { concatBytes, isPpmlError, sha256, sha384, toHex } from "../../../src/base/index.ts";
import { NOW_MS, YEAR_MS } from "../fixture.ts";
import { quoteOver, raTlsIdentity } from "./ra-tls-fixture.ts";

const at = { nowMs: NOW_MS };
const bytes = (value: Uint8Array): CborValue => ({ kind: "bytes", value });
const text = (value: string): CborValue => ({ kind: "text", value });
const int = (value: bigint): CborValue => ({ kind: "int", value });

function refuses(der: Uint8Array, code: string, message: RegExp): void {
  assert.throws(
    () => readRaTlsCertificate(der, at),
    (error: unknown) => {
      assert.ok(isPpmlError(error), String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      return true;
    },
  );
}

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" }));
}

/** A certificate with any extension, over a key of the caller's. */
function certificateWith(
  extensions: readonly Uint8Array[],
  key: KeyObject,
  changes: { readonly issuerKey?: KeyObject; readonly notAfterMs?: number } = {},
): Uint8Array {
  return issueCertificate({
    subject: "RATLS",
    subjectKey: key,
    issuer: "RATLS",
    issuerKey: changes.issuerKey ?? key,
    notBeforeMs: NOW_MS - YEAR_MS,
    notAfterMs: changes.notAfterMs ?? NOW_MS + YEAR_MS,
    extensions,
  });
}

const tagged = (value: Uint8Array): Uint8Array =>
  extension(RA_TLS_OID.taggedEvidence, { critical: false, value });
const legacy = (value: Uint8Array): Uint8Array =>
  extension(RA_TLS_OID.gramineQuote, { critical: false, value });
const newKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;

/** A certificate whose tagged Evidence has claims of the test's making. */
function withClaims(key: KeyObject, claims: CborValue): Uint8Array {
  const encoded = encodeCbor(claims);
  return certificateWith(
    [tagged(encodeTaggedQuote(quoteOver(raTlsReportData(encoded)), encoded))],
    key,
  );
}

test("the legacy OID's content is Gramine's bytes", () => {
  assert.equal(toHex(derOid(RA_TLS_OID.gramineQuote)), "060b06092a864886f84d8a3906");
  assert.equal(toHex(derOid(RA_TLS_OID.taggedEvidence)), "0606678105050409");
});

test("a certificate that was made is read back: tagged form, SGX and TDX, with and without nonce", async () => {
  for (const tee of ["sgx", "tdx"] as const)
    for (const nonce of [null, new Uint8Array(32).fill(7)]) {
      const { certificate, privateKey } = await raTlsIdentity({
        tee,
        ...(nonce === null ? {} : { nonce }),
      });
      const found = readRaTlsCertificate(certificate, at);
      const spki = spkiOf(privateKey);
      assert.equal(found.form, "tagged");
      assert.equal(found.tee, tee);
      assert.deepEqual(found.nonce, nonce);
      assert.deepEqual(found.publicKeySha256, sha256(spki));
      assert.deepEqual(
        found.reportData,
        concatBytes(sha256(encodeRaTlsClaims(spki, nonce)), new Uint8Array(32)),
      );
    }
});

test("OpenSSL reads the certificate as a self-signed one on P-384", async () => {
  const { certificate, privateKey } = await raTlsIdentity({ legacy: true });
  const x509 = new X509Certificate(certificate);
  assert.ok(x509.verify(createPublicKey(privateKey)));
  assert.ok(x509.checkPrivateKey(privateKey));
  assert.equal(x509.publicKey.asymmetricKeyDetails?.namedCurve, "secp384r1");
  assert.equal(x509.subject, "CN=RATLS");
});

test("the claims are CBOR in its deterministic order", () => {
  const spki = spkiOf(newKey());
  const claims = encodeRaTlsClaims(spki, Uint8Array.of(1));
  assert.deepEqual(decodeCbor(claims), {
    kind: "map",
    entries: [
      [text("nonce"), bytes(Uint8Array.of(1))],
      [
        text("pubkey-hash"),
        bytes(encodeCbor({ kind: "array", items: [int(1n), bytes(sha256(spki))] })),
      ],
    ],
  });
  assert.equal(toHex(encodeTaggedQuote(Uint8Array.of(1), Uint8Array.of(2))), "d9ea608241014102");
});

test("the legacy form is read: the bare quote over the key's digest", () => {
  const key = newKey();
  const reportData = concatBytes(sha256(spkiOf(key)), new Uint8Array(32));
  const found = readRaTlsCertificate(certificateWith([legacy(quoteOver(reportData))], key), at);
  assert.equal(found.form, "legacy");
  assert.deepEqual(found.reportData, reportData);
  assert.equal(found.nonce, null);
});

test("where a certificate has both forms, the tagged one counts", async () => {
  const { certificate } = await raTlsIdentity({ legacy: true });
  assert.equal(readRaTlsCertificate(certificate, at).form, "tagged");
  const { extensions, spki } = parseCertificate(certificate);
  const bare = extensions.get(RA_TLS_OID.gramineQuote)?.value;
  assert.deepEqual(bare?.slice(368, 400), sha256(spki));
});

test("hashes of the key by SHA-384 and SHA-512 are accepted, others are not", () => {
  const key = newKey();
  readRaTlsCertificate(withClaims(key, keyClaims(7n, sha384(spkiOf(key)))), at);
  refuses(withClaims(key, keyClaims(0n, new Uint8Array())), "attest.invalid", /public key's hash/);
  refuses(
    withClaims(key, keyClaims(2n, sha256(spkiOf(key)))),
    "attest.invalid",
    /public key's hash/,
  );
});

test("T106: a quote made for another key is refused in both forms", async () => {
  const [mine, theirs] = [newKey(), newKey()];
  const stolen = encodeRaTlsClaims(spkiOf(theirs), null);
  const evidence = encodeTaggedQuote(quoteOver(raTlsReportData(stolen)), stolen);
  refuses(certificateWith([tagged(evidence)], mine), "attest.not_verified", /name another key/);
  const own = encodeRaTlsClaims(spkiOf(mine), null);
  const swapped = encodeTaggedQuote(quoteOver(raTlsReportData(stolen)), own);
  refuses(certificateWith([tagged(swapped)], mine), "attest.not_verified", /binds another key/);
  const reportData = concatBytes(sha256(spkiOf(theirs)), new Uint8Array(32));
  refuses(
    certificateWith([legacy(quoteOver(reportData))], mine),
    "attest.not_verified",
    /binds another key/,
  );
  // What fills the report data up to 64 bytes counts too.
  const filled = concatBytes(sha256(spkiOf(mine)), new Uint8Array(32).fill(1));
  refuses(
    certificateWith([legacy(quoteOver(filled))], mine),
    "attest.not_verified",
    /binds another key/,
  );
  const { certificate } = await raTlsIdentity({
    quoteOf: async () => quoteOver(new Uint8Array(64)),
  });
  refuses(certificate, "attest.not_verified", /binds another key/);
});

test("the tagged form is not given up for the legacy one when it is wrong", () => {
  const key = newKey();
  const good = quoteOver(concatBytes(sha256(spkiOf(key)), new Uint8Array(32)));
  refuses(certificateWith([tagged(Uint8Array.of(0)), legacy(good)], key), "attest.invalid", /CBOR/);
});

test("certificates that are out of date, signed by another key or on another curve are refused", () => {
  const key = newKey();
  const quote = quoteOver(concatBytes(sha256(spkiOf(key)), new Uint8Array(32)));
  refuses(
    certificateWith([legacy(quote)], key, { notAfterMs: NOW_MS - 1000 }),
    "attest.not_verified",
    /valid from/,
  );
  refuses(
    certificateWith([legacy(quote)], key, { issuerKey: newKey() }),
    "attest.not_verified",
    /its own key/,
  );
  const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  refuses(
    certificateWith([legacy(quote)], p256, { issuerKey: key }),
    "attest.unsupported",
    /P-384/,
  );
  assert.throws(() =>
    readRaTlsCertificate(certificateWith([legacy(quote)], key), { nowMs: Number.NaN }),
  );
});

test("a certificate without Evidence, and Evidence of a wrong form, are refused", () => {
  const key = newKey();
  const hash = bytes(encodeCbor({ kind: "array", items: [int(1n), bytes(sha256(spkiOf(key)))] }));
  refuses(
    certificateWith([extension("1.2.3", { critical: false, value: new Uint8Array(1) })], key),
    "attest.invalid",
    /no Evidence/,
  );
  const quote = quoteOver(new Uint8Array(64));
  for (const value of [
    new Uint8Array(),
    encodeCbor(bytes(quote)),
    encodeCbor({
      kind: "tag",
      tag: 60001n,
      item: { kind: "array", items: [bytes(quote), bytes(quote)] },
    }),
    encodeCbor({ kind: "tag", tag: 60000n, item: { kind: "array", items: [bytes(quote)] } }),
    encodeCbor({
      kind: "tag",
      tag: 60000n,
      item: { kind: "array", items: [bytes(quote), text("x")] },
    }),
    encodeTaggedQuote(quote, Uint8Array.of(0xff)),
  ])
    refuses(certificateWith([tagged(value)], key), "attest.invalid", /./);
  for (const wrong of [
    { kind: "map", entries: [] },
    { kind: "array", items: [] },
    { kind: "map", entries: [[text("pubkey-hash"), text("x")]] },
    { kind: "map", entries: [[text("pubkey-hash"), bytes(Uint8Array.of(0x80))]] },
    {
      kind: "map",
      entries: [
        [text("pubkey-hash"), hash],
        [text("only-on-sundays"), hash],
      ],
    },
    {
      kind: "map",
      entries: [
        [text("pubkey-hash"), hash],
        [int(1n), hash],
      ],
    },
    {
      kind: "map",
      entries: [
        [text("pubkey-hash"), hash],
        [text("nonce"), bytes(new Uint8Array())],
      ],
    },
    {
      kind: "map",
      entries: [
        [text("pubkey-hash"), hash],
        [text("nonce"), bytes(new Uint8Array(65))],
      ],
    },
  ] satisfies CborValue[])
    refuses(withClaims(key, wrong), "attest.invalid", /./);
  refuses(certificateWith([legacy(new Uint8Array(100))], key), "attest.unsupported", /./);
});

test("every truncation and every flipped byte of a certificate is refused or read as the same key's", async () => {
  const { certificate } = await raTlsIdentity();
  const good = readRaTlsCertificate(certificate, at);
  for (let length = 0; length < certificate.byteLength; length += 13)
    assert.throws(
      () => readRaTlsCertificate(certificate.subarray(0, length), at),
      (error: unknown) => isPpmlError(error),
    );
  for (let offset = 0; offset < certificate.byteLength; offset += 5) {
    const changed = Uint8Array.from(certificate);
    changed[offset] = (changed[offset] ?? 0) ^ 0x01;
    try {
      assert.deepEqual(readRaTlsCertificate(changed, at).publicKeySha256, good.publicKeySha256);
      assert.fail(`byte ${offset} may not be changed`);
    } catch (error) {
      assert.ok(isPpmlError(error), String(error));
    }
  }
});

function keyClaims(id: bigint, digest: Uint8Array): CborValue {
  const hash = encodeCbor({ kind: "array", items: [int(id), bytes(digest)] });
  return { kind: "map", entries: [[text("pubkey-hash"), bytes(hash)]] };
}
