import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { describe, test } from "node:test";
import {
  authorityExtensions,
  extension,
  issueCertificate,
} from "../../../src/attest/x509/issue-certificate.ts";
import type { CertificateRequest } from "../../../src/attest/x509/issue-certificate.ts";
import { der, derOid, derSequence } from "../../../src/attest/der/write.ts";
import { verifySkrAnswer } from "../../../src/attest/verify/skr-answer.ts";
import { isPpmlError, toBase64, toBase64Url, utf8 } from "../../../src/base/index.ts";

type Json = Record<string, unknown>;
type Options = Parameters<typeof verifySkrAnswer>[1];

const NOW_MS = Date.UTC(2026, 10, 24, 12);
const DAY_MS = 86_400_000;
const HOST = "contoso.vault.azure.net";
const KEY_URL = `https://${HOST}/keys/orders`;
const VERSION = "ab".repeat(16);
const NONCE = "a nonce of 24 characters";

const keys = {
  root: generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey,
  authority: generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey,
  leaf: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey,
};

const san = (...names: readonly string[]) =>
  extension("2.5.29.17", {
    critical: false,
    value: derSequence(...names.map((name) => der(0x82, utf8(name)))),
  });
const usage = (oid: string) =>
  extension("2.5.29.37", { critical: false, value: derSequence(derOid(oid)) });
const SERVER = usage("1.3.6.1.5.5.7.3.1");

function issue(
  role: "root" | "authority" | "leaf",
  changes: Partial<CertificateRequest> = {},
): Uint8Array {
  const above = role === "leaf" ? "authority" : "root";
  return issueCertificate({
    subject: role,
    subjectKey: keys[role],
    issuer: above,
    issuerKey: keys[above],
    notBeforeMs: NOW_MS - DAY_MS,
    notAfterMs: NOW_MS + DAY_MS,
    extensions:
      role === "leaf"
        ? [san("*.vault.azure.net"), SERVER]
        : authorityExtensions(role === "root" ? 1 : 0),
    ...changes,
  });
}

const root = issue("root");
const chain = [issue("leaf"), issue("authority"), root];

const answer = (
  request: Json = {},
  key: Json = {},
  attributes: Json = { exportable: true },
): Json => ({
  request: {
    "api-version": "7.4",
    enc: "RSA_AES_KEY_WRAP_256",
    kid: KEY_URL,
    nonce: NONCE,
    ...request,
  },
  response: {
    key: {
      key: { kid: `${KEY_URL}/${VERSION}`, kty: "RSA-HSM", key_hsm: "e30", ...key },
      attributes,
    },
  },
});

function jwsOf(
  payload: Json = answer(),
  options: { chain?: readonly Uint8Array[]; header?: Json; key?: typeof keys.leaf } = {},
): string {
  const header = {
    alg: "RS256",
    typ: "JWT",
    kid: "k",
    x5c: (options.chain ?? chain).map((certificate) => toBase64(certificate)),
    ...options.header,
  };
  const signed = [header, payload].map((part) => toBase64Url(utf8(JSON.stringify(part)))).join(".");
  return `${signed}.${toBase64Url(sign("sha256", utf8(signed), options.key ?? keys.leaf))}`;
}

const good: Options = {
  vaultHost: HOST,
  roots: [root],
  request: { keyUrl: KEY_URL, wrap: "RSA_AES_KEY_WRAP_256", nonce: NONCE },
  nowMs: NOW_MS,
};

const refuses = (
  jws: string,
  message: RegExp,
  options: { changes?: Partial<Options>; code?: string } = {},
): Promise<void> =>
  assert.rejects(verifySkrAnswer(jws, { ...good, ...options.changes }), {
    name: "PpmlError",
    code: options.code ?? "attest.not_verified",
    message,
  });

test("a good answer verifies, with and without the root in its chain", async () => {
  for (const certificates of [chain, chain.slice(0, 2)])
    assert.deepEqual(await verifySkrAnswer(jwsOf(answer(), { chain: certificates }), good), {
      keyUrl: `${KEY_URL}/${VERSION}`,
      keyType: "RSA-HSM",
      keyHsm: "e30",
    });
  const keyUrl = `${KEY_URL}/${VERSION}`;
  await verifySkrAnswer(jwsOf(), { ...good, request: { ...good.request, keyUrl } });
});

describe("T92: an answer that the vault did not sign is refused", () => {
  test("under another root, or by a chain that brings its own", async () => {
    const other = issue("root");
    await refuses(jwsOf(), /does not lead to a pinned root/, { changes: { roots: [] } });
    const strange = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
    const forged = issue("root", { subjectKey: strange, issuerKey: strange });
    await refuses(
      jwsOf(answer(), { chain: [chain[0] ?? root, chain[1] ?? root, forged] }),
      /issued/,
    );
    await refuses(jwsOf(), /not issued by|pinned root/, { changes: { roots: [forged] } });
    await verifySkrAnswer(jwsOf(answer(), { chain: chain.slice(0, 2) }), {
      ...good,
      roots: [other],
    });
  });
  test("by a certificate of another host, or of a host by its common name alone", async () => {
    for (const extensions of [
      [san("evil.example"), SERVER],
      [san("vault.azure.net"), SERVER],
      [san("*.azure.net"), SERVER],
      [SERVER],
    ]) {
      const leaf = issue("leaf", { extensions, subject: HOST });
      await refuses(jwsOf(answer(), { chain: [leaf, ...chain.slice(1)] }), /not a certificate of/);
    }
    await refuses(jwsOf(), /not a certificate of other.example|expected a key of the vault/, {
      changes: { vaultHost: "other.example" },
    });
  });
  test("by a certificate that is not a server's, is an authority, or is out of its time", async () => {
    for (const [changes, message] of [
      [{ extensions: [san("*.vault.azure.net"), usage("1.3.6.1.5.5.7.3.2")] }, /one of a server/],
      [{ extensions: [san("*.vault.azure.net"), ...authorityExtensions(0)] }, /is an authority/],
      [{ notAfterMs: NOW_MS - 1000 }, /not valid at this time/],
      [
        {
          extensions: [
            san("*.vault.azure.net"),
            extension("2.5.29.30", { critical: true, value: derSequence() }),
          ],
        },
        /critical extension 2.5.29.30/,
      ],
    ] as const)
      await refuses(
        jwsOf(answer(), { chain: [issue("leaf", changes), ...chain.slice(1)] }),
        message,
      );
    await refuses(jwsOf(), /not valid at this time/, { changes: { nowMs: Number.NaN } });
  });
  test("below a certificate that is no authority, or not for so long a chain", async () => {
    const authority = issue("authority", { extensions: [SERVER] });
    await refuses(jwsOf(answer(), { chain: [chain[0] ?? root, authority, root] }), /no authority/);
    const short = issue("root", { extensions: authorityExtensions(0) });
    await refuses(jwsOf(answer(), { chain: chain.slice(0, 2) }), /no authority/, {
      changes: { roots: [short] },
    });
  });
  test("with another key, algorithm or header", async () => {
    const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    await refuses(jwsOf(answer(), { key }), /not signed by the vault's certificate/);
    for (const header of [
      { alg: "none" },
      { alg: "HS256" },
      { jku: "x" },
      { crit: ["x"] },
      { x5c: [] },
    ])
      await refuses(jwsOf(answer(), { header }), /header of the released key/, {
        code: "attest.invalid",
      });
  });
  test("with any character changed", async () => {
    const jws = jwsOf();
    for (let at = 0; at < jws.length; at += 37) {
      const changed = jws.slice(0, at) + (jws[at] === "A" ? "B" : "A") + jws.slice(at + 1);
      await assert.rejects(verifySkrAnswer(changed, good), (error) => isPpmlError(error));
    }
  });
});

test("T92: an answer about another key, wrap or nonce, or a key that is not exportable, is refused", async () => {
  for (const kid of [
    `https://${HOST}/keys/other/${VERSION}`,
    `${KEY_URL}2/${VERSION}`,
    `${KEY_URL}/${VERSION}/x`,
    `https://evil.example/keys/orders/${VERSION}`,
  ])
    await refuses(jwsOf(answer({}, { kid })), /expected the key/);
  await refuses(
    jwsOf(answer({ enc: "CKM_RSA_AES_KEY_WRAP" })),
    /wrapped with RSA_AES_KEY_WRAP_256/,
  );
  for (const nonce of ["another nonce, of 29 letters", undefined])
    await refuses(jwsOf(answer({ nonce })), /request's nonce/);
  await refuses(jwsOf(answer({ nonce: "" })), /request's nonce/, {
    changes: { request: { ...good.request, nonce: "" } },
  });
  for (const attributes of [{}, { exportable: false }])
    await refuses(jwsOf(answer({}, {}, attributes)), /exportable/, { code: "attest.invalid" });
});
