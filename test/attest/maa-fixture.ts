import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { sha256, toBase64Url, toHex, utf8 } from "../../src/base/index.ts";
import type { MaaDemands } from "../../src/attest/verify/maa-check.ts";
import { parseMaaJwks } from "../../src/attest/verify/maa-jwks.ts";
import type { MaaJwks } from "../../src/attest/verify/maa-jwks.ts";
import type { MaaProvider } from "../../src/attest/verify/maa-providers.ts";
import { verifyMaaToken } from "../../src/attest/verify/maa-token.ts";

export const NOW_MS = Date.UTC(2026, 10, 24, 12);
const NOW = NOW_MS / 1000;

export const ISSUER = "https://contoso.weu.attest.azure.net";
export const KEY_ID = "jNolL7YTrRkDIukgm3on/fz5uMi9kjxhfUBTh6Or8No=";
export const POLICY_HASH = toBase64Url(sha256(utf8("the pinned policy")));

export const providerKey = generateKeyPairSync("rsa", { modulusLength: 2048 });
export const otherKey = generateKeyPairSync("rsa", { modulusLength: 2048 });

/** JSON as it is sent as runtime data: not canonical on purpose. */
export const runtimeBytes = utf8('{ "nonce": "bm9uY2U", "keys": [ {"kty":"RSA", "kid":"k"} ] }');

export type Json = Record<string, unknown>;

/** A JWK as a provider publishes it, with members added or changed; null removes one. */
export function jwkOf(publicKey: KeyObject, changes: Json = {}): Json {
  const { n, e } = publicKey.export({ format: "jwk" });
  return without({ kty: "RSA", kid: KEY_ID, n, e, ...changes });
}

export function jwksOf(...keys: readonly Json[]): MaaJwks {
  return parseMaaJwks(utf8(JSON.stringify({ keys })));
}

/** The pinned provider. */
export const provider: MaaProvider = {
  issuer: ISSUER,
  jwks: jwksOf(jwkOf(providerKey.publicKey)),
  policy: { hashes: [POLICY_HASH] },
};

export const goodDemands: MaaDemands = {
  providers: [provider],
  runtimeData: { kind: "json", bytes: runtimeBytes },
  nonce: "in-runtime-data",
  maxAgeSeconds: 600,
  nowMs: NOW_MS,
};

export const goodHeader: Json = {
  alg: "RS256",
  jku: `${ISSUER}/certs`,
  kid: KEY_ID,
  typ: "JWT",
};

const reportData = toHex(sha256(runtimeBytes)) + "00".repeat(32);

/** The claims of an SEV-SNP guest, without those that every token has. */
export const snpClaims: Json = {
  "x-ms-attestation-type": "sevsnpvm",
  "x-ms-compliance-status": "azure-compliant-uvm",
  "x-ms-sevsnpvm-authorkeydigest": "00".repeat(48),
  "x-ms-sevsnpvm-bootloader-svn": 3,
  "x-ms-sevsnpvm-familyId": `01${"00".repeat(15)}`,
  "x-ms-sevsnpvm-guestsvn": 2,
  "x-ms-sevsnpvm-hostdata": "73".repeat(32),
  "x-ms-sevsnpvm-idkeydigest": "81".repeat(48),
  "x-ms-sevsnpvm-imageId": `02${"00".repeat(15)}`,
  "x-ms-sevsnpvm-is-debuggable": false,
  "x-ms-sevsnpvm-launchmeasurement": "02".repeat(48),
  "x-ms-sevsnpvm-microcode-svn": 115,
  "x-ms-sevsnpvm-migration-allowed": false,
  "x-ms-sevsnpvm-reportdata": reportData,
  "x-ms-sevsnpvm-reportid": "a9".repeat(32),
  "x-ms-sevsnpvm-smt-allowed": true,
  "x-ms-sevsnpvm-snpfw-svn": 8,
  "x-ms-sevsnpvm-tee-svn": 0,
  "x-ms-sevsnpvm-vmpl": 0,
};

/** The claims of a TDX guest in MAA's EAT profile. */
export const tdxClaims: Json = {
  "x-ms-attestation-type": "tdxvm",
  eat_profile: "https://aka.ms/maa-eat-profile-tdxvm",
  dbgstat: "disabled",
  attester_tcb_status: "UpToDate",
  tdx_mrtd: "a1".repeat(48),
  tdx_rtmr0: "b0".repeat(48),
  tdx_rtmr1: "b1".repeat(48),
  tdx_rtmr2: "b2".repeat(48),
  tdx_rtmr3: "b3".repeat(48),
  tdx_mrconfigid: "c1".repeat(48),
  tdx_mrowner: "00".repeat(48),
  tdx_mrownerconfig: "00".repeat(48),
  tdx_mrseam: "d1".repeat(48),
  tdx_mrsignerseam: "00".repeat(48),
  tdx_report_data: reportData,
  tdx_td_attributes: "0000001000000000",
  tdx_td_attributes_debug: false,
  tdx_xfam: "e702060000000000",
  tdx_tee_tcb_svn: "0d010400000000000000000000000000",
};

/** The claims of an SGX enclave. */
export const sgxClaims: Json = {
  "x-ms-attestation-type": "sgx",
  "x-ms-sgx-mrenclave": "e1".repeat(32),
  "x-ms-sgx-mrsigner": "e2".repeat(32),
  "x-ms-sgx-product-id": 1,
  "x-ms-sgx-svn": 3,
  "x-ms-sgx-is-debuggable": false,
  "x-ms-sgx-report-data": reportData,
  "x-ms-sgx-config-id": "cc".repeat(64),
  "x-ms-sgx-config-svn": 4,
  "x-ms-sgx-isv-extended-product-id": "c2".repeat(16),
  "x-ms-sgx-isv-family-id": "c3".repeat(16),
};

/** All claims of a good token; `changes` add, replace or, with undefined, remove members. */
export function claimsOf(changes: Json = {}, tee: Json = snpClaims): Json {
  return without({
    exp: NOW - 30 + 28_800,
    iat: NOW - 30,
    iss: ISSUER,
    jti: "0d6eb4c30c0333b3c2bfbb98e7c4dd87fa4ddec65057087e5e9b5d382bc5a95e",
    nbf: NOW - 30,
    "x-ms-policy-hash": POLICY_HASH,
    "x-ms-runtime": JSON.parse(new TextDecoder().decode(runtimeBytes)) as unknown,
    "x-ms-ver": "1.0",
    ...tee,
    ...changes,
  });
}

/** A signed token; the texts stand as they are, so that any form can be tried. */
export function signText(header: string, payload: string, key = providerKey.privateKey): string {
  const signed = `${toBase64Url(utf8(header))}.${toBase64Url(utf8(payload))}`;
  return `${signed}.${toBase64Url(sign("sha256", utf8(signed), key))}`;
}

/** A token signed by the provider's key, with other claims or another header. */
export function tokenOf(
  options: { claims?: Json; tee?: Json; header?: Json; key?: KeyObject } = {},
): string {
  const header = without({ ...goodHeader, ...options.header });
  const claims = claimsOf(options.claims, options.tee);
  return signText(JSON.stringify(header), JSON.stringify(claims), options.key);
}

function without(object: Json): Json {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

/** Verifies a token under the good demands, with changes. */
export function verify(
  token: string,
  demands: Partial<MaaDemands> = {},
): ReturnType<typeof verifyMaaToken> {
  return verifyMaaToken(token, { ...goodDemands, ...demands });
}

/** Asserts that a token is refused, `attest.not_verified` where no other code is given. */
export async function refuses(
  token: string,
  expected: { code?: string; message: RegExp; demands?: Partial<MaaDemands> },
): Promise<void> {
  await assert.rejects(verify(token, expected.demands), {
    name: "PpmlError",
    code: expected.code ?? "attest.not_verified",
    message: expected.message,
  });
}
