import { fromUtf8, utf8 } from "../../src/base/index.ts";
import { readEar } from "../../src/attest/ear/ear.ts";
import { parseCompactJws } from "../../src/attest/token/compact-jws.ts";
import { parseUniqueJson } from "../../src/attest/token/unique-json.ts";
import { readMaaTee } from "../../src/attest/verify/maa-claims.ts";
import { parseMaaJwks } from "../../src/attest/verify/maa-jwks.ts";
import { parseKeyHsm } from "../../src/format/skr/key-hsm.ts";
import { claimsOf as earClaims } from "../../test/attest/ear/fixture.ts";
import {
  claimsOf,
  jwkOf,
  providerKey,
  sgxClaims,
  tdxClaims,
  tokenOf,
} from "../../test/attest/maa-fixture.ts";
import { parses } from "./target.ts";
import type { FuzzTarget } from "./target.ts";

const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));
const KEY_HSM = {
  schema_version: "1.0",
  header: { kid: "k", alg: "dir", enc: "RSA_AES_KEY_WRAP_256" },
  ciphertext: "AAAA",
};

/** Tokens of MAA and EAR, providers' keys, and keys that Key Vault releases. */
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
];
