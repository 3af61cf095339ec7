import { constants, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { toBase64Url, utf8 } from "../../../src/base/index.ts";
import { TRUSTEE_PROFILE } from "../../../src/attest/ear/ear.ts";
import type { EarSigner } from "../../../src/attest/ear/issue-ear.ts";
import { verifyEar } from "../../../src/attest/ear/verify-ear.ts";
import type { EarKey } from "../../../src/attest/ear/verify-ear.ts";

export const NOW_MS = Date.UTC(2026, 10, 24, 12);
export type Json = Record<string, unknown>;

const ec = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve });
export const p256 = ec("P-256");
export const p384 = ec("P-384");
export const p521 = ec("P-521");
export const ed25519 = generateKeyPairSync("ed25519");
export const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

export const signer: EarSigner = {
  algorithm: "ES256",
  privateKey: p256.privateKey,
  keyId: "broker-1",
};

export const teePubkey = {
  kty: "EC",
  crv: "P-256",
  ...xy(ec("P-256").publicKey.export({ format: "jwk" })),
} as const;

export type EarOptions = Parameters<typeof verifyEar>[1];

export const options: EarOptions = {
  keys: [{ algorithm: "ES256", publicKey: p256.publicKey }],
  profiles: [TRUSTEE_PROFILE],
  nonce: "by-age",
  maxAgeSeconds: 300,
  simulated: false,
  nowMs: NOW_MS,
};

/** Good claims of another Verifier; undefined removes a member. */
export function claimsOf(changes: Json = {}, cpu0: Json = {}): Json {
  return without({
    eat_profile: TRUSTEE_PROFILE,
    iat: NOW_MS / 1000 - 10,
    exp: NOW_MS / 1000 + 290,
    "ear.verifier-id": { developer: "https://confidentialcontainers.org", build: "as 0.1.0" },
    submods: {
      cpu0: without({
        "ear.status": "affirming",
        "ear.trustworthiness-vector": { hardware: 2, executables: 3, configuration: 2 },
        "ear.appraisal-policy-id": "default",
        ...cpu0,
      }),
    },
    ...changes,
  });
}

/** A token signed by `key` under a header of any form; the claims may be text. */
export function tokenOf(
  claims: Json | string = claimsOf(),
  header: Json = { alg: "ES256", typ: "JWT" },
  key = p256.privateKey,
): string {
  const payload = typeof claims === "string" ? claims : JSON.stringify(claims);
  const signed = `${toBase64Url(utf8(JSON.stringify(header)))}.${toBase64Url(utf8(payload))}`;
  const alg = String(header["alg"]);
  const hash =
    key.asymmetricKeyType === "ed25519" ? null : `sha${/(?:256|384|512)$/.exec(alg)?.[0] ?? "256"}`;
  const pss = alg.startsWith("PS")
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {};
  const signature = sign(hash, utf8(signed), { key, dsaEncoding: "ieee-p1363", ...pss });
  return `${signed}.${toBase64Url(signature)}`;
}

export function verify(token: string, changes: Partial<EarOptions> = {}) {
  return verifyEar(token, { ...options, ...changes });
}

/** A pinned P-256 key from its coordinates. */
export function es256Key(x: string, y: string): EarKey {
  const publicKey = createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" });
  return { algorithm: "ES256", publicKey };
}

function xy(jwk: JsonWebKeyLike): { x: string; y: string } {
  return { x: jwk.x ?? "", y: jwk.y ?? "" };
}

function without(object: Json): Json {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

type JsonWebKeyLike = { x?: string; y?: string };
