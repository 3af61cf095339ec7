import { fromBase64Url, fromUtf8, toBase64, toHex, utf8 } from "../../src/base/index.ts";
import { readEar } from "../../src/attest/ear/ear.ts";
import { detectEvidence } from "../../src/attest/evidence/detect.ts";
import { parseCompactJws } from "../../src/attest/token/compact-jws.ts";
import { parseUniqueJson } from "../../src/attest/token/unique-json.ts";
import { readMaaTee } from "../../src/attest/verify/maa-claims.ts";
import { parseMaaJwks } from "../../src/attest/verify/maa-jwks.ts";
import { parseKeyHsm } from "../../src/format/skr/key-hsm.ts";
import {
  claimsOf as earClaims,
  tokenOf as earTokenOf,
  verify as verifyEarToken,
} from "../../test/attest/ear/fixture.ts";
import { wire } from "../../test/attest/fixture.ts";
import {
  claimsOf,
  jwkOf,
  providerKey,
  sgxClaims,
  tdxClaims,
  tokenOf,
  verify as verifyMaa,
} from "../../test/attest/maa-fixture.ts";
import { parses } from "./target.ts";
import type { FuzzTarget } from "./target.ts";

const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));
const KEY_HSM = {
  schema_version: "1.0",
  header: { kid: "k", alg: "dir", enc: "RSA_AES_KEY_WRAP_256" },
  ciphertext: "AAAA",
};

/** Evidence in each form that `ppml attest verify` finds out by itself. */
function recordedEvidence(): readonly Uint8Array[] {
  const report = fromBase64Url(wire.evidence);
  return [
    report,
    utf8(toHex(report)),
    utf8(toBase64(report)),
    json(wire),
    json({ attestation_report: toBase64(report) }),
    utf8(tokenOf()),
    utf8(earTokenOf()),
  ];
}

/** Tokens of MAA and EAR, whole and in parts, providers' keys, and keys that Key Vault releases. */
export const TOKEN_TARGETS: readonly FuzzTarget[] = [
  parses(
    "compact-jws",
    () => [utf8(tokenOf())],
    (input) => parseCompactJws(fromUtf8(input), "the input").signature,
  ),
  parses(
    "maa-claims",
    () => [json(claimsOf()), json(claimsOf({}, tdxClaims)), json(claimsOf({}, sgxClaims))],
    (input) => {
      const claims = { ...(parseUniqueJson(input, "the input") as object) };
      const type = "x-ms-attestation-type" in claims ? claims["x-ms-attestation-type"] : "";
      return readMaaTee(String(type), claims).attestationType;
    },
  ),
  parses(
    "maa-jwks",
    () => [json({ keys: [jwkOf(providerKey.publicKey, { x5c: ["AAAA"] })] })],
    (input) => parseMaaJwks(input).keys.length,
  ),
  parses(
    "ear",
    () => [json(earClaims())],
    (input) => readEar({ ...(parseUniqueJson(input, "the input") as object) }).profile,
  ),
  parses(
    "key-hsm",
    () => [utf8(Buffer.from(json(KEY_HSM)).toString("base64url"))],
    (input) => parseKeyHsm(fromUtf8(input)).keyId,
  ),
  parses("recorded-evidence", recordedEvidence, (input) => detectEvidence(input).wire.type),
  {
    name: "maa-token",
    prepare: () =>
      Promise.resolve({
        seeds: [tokenOf(), tokenOf({ tee: tdxClaims }), tokenOf({ tee: sgxClaims })].map(utf8),
        promise: "authentic",
        run: async (input) => (await verifyMaa(textOf(input))).evidence,
      }),
  },
  {
    name: "ear-token",
    prepare: () =>
      Promise.resolve({
        seeds: [utf8(earTokenOf())],
        promise: "authentic",
        run: async (input) => (await verifyEarToken(textOf(input))).ear,
      }),
  },
];

/** Any bytes as text: a token comes as a string of JSON, which may hold anything. */
function textOf(input: Uint8Array): string {
  return Buffer.from(input).toString("latin1");
}
