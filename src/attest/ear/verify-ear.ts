import type { KeyObject } from "node:crypto";
import { compactVerify } from "jose/jws/compact/verify";
import { z } from "zod";
import { PpmlError, toTimestamp } from "../../base/index.ts";
import { parseWith } from "../../format/schema.ts";
import { parseCompactJws } from "../token/compact-jws.ts";
import { readEar } from "./ear.ts";
import type { Ear } from "./ear.ts";

/** Clocks differ by so much at most: for exp, nbf and iat. */
export const EAR_CLOCK_SKEW_SECONDS = 60;

declare const earBrand: unique symbol;
/** An EAR whose signature, profile and times were checked. Only `verifyEar` makes one. */
export type VerifiedEar = { readonly ear: Ear; readonly [earBrand]: true };

/**
 * Algorithms of EARs. `EdDSA` is Ed25519's: another curve has another algorithm.
 * @see RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864 section 2.2
 */
export const EAR_ALGORITHMS = [
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "RS256",
  "PS256",
  "PS384",
  "PS512",
] as const;
export type EarAlgorithm = (typeof EAR_ALGORITHMS)[number];

/** A key of a Verifier that is trusted, with the one algorithm that it signs with. */
export type EarKey = {
  readonly algorithm: EarAlgorithm;
  readonly publicKey: KeyObject;
};

/** What a key has to be for an algorithm, so that no other key is tried with it: type, and curve where it has one. */
const KEYS_OF: Readonly<Record<EarAlgorithm, readonly [type: string, curve?: string]>> = {
  // The names of OpenSSL.
  ES256: ["ec", "prime256v1"],
  ES384: ["ec", "secp384r1"],
  ES512: ["ec", "secp521r1"],
  EdDSA: ["ed25519"],
  RS256: ["rsa"],
  PS256: ["rsa"],
  PS384: ["rsa"],
  PS512: ["rsa"],
};

/** Keys that a header brings (Trustee's `jwk`) are allowed to stand there, and are never read. */
const headerSchema = z.strictObject({
  alg: z.enum([...EAR_ALGORITHMS, "Ed25519"]),
  typ: z.string().max(40).optional(),
  kid: z.string().max(200).optional(),
  jwk: z.record(z.string(), z.unknown()).optional(),
});

/**
 * Verifies an EAR token by keys that the caller pins: signature, profile, times, and that no status
 * promises more than its vector. Whether a status is enough is for the relying party to say.
 * @throws attest.invalid, attest.not_verified, attest.simulated
 * @see draft-ietf-rats-ear, RFC 9711, RFC 7519
 */
export async function verifyEar(
  token: string,
  options: {
    readonly keys: readonly EarKey[];
    /** Accepted values of eat_profile. */
    readonly profiles: readonly string[];
    /** A nonce that the token must hold, or that freshness comes from its age alone. */
    readonly nonce: { readonly equals: string } | "by-age";
    readonly maxAgeSeconds: number;
    /** Whether tokens with the mark of a simulation are accepted; then no others are. */
    readonly simulated: boolean;
    /** Milliseconds since 1970. */
    readonly nowMs: number;
  },
): Promise<VerifiedEar> {
  const jws = parseCompactJws(token, "the EAR token");
  const { alg } = parseWith(headerSchema, jws.header, {
    what: "the header of the EAR token",
    code: "attest.invalid",
  });
  await checkSignature(jws.token, keysFor(alg, options.keys));
  const { eat_profile: profile } = jws.payload;
  if (typeof profile === "string" && !options.profiles.includes(profile))
    throw refused(
      `expected an EAR of ${options.profiles.join(" or ")}, got ${profile.slice(0, 300)}`,
    );
  const ear = readEar(jws.payload);
  checkTimes(ear, options);
  if (options.nonce !== "by-age" && !ear.nonces.includes(options.nonce.equals))
    throw refused("the EAR token does not hold the nonce of this request: ask for a new token");
  if (ear.simulated !== options.simulated)
    throw new PpmlError(
      "attest.simulated",
      options.simulated
        ? "expected an EAR token of a simulation, got one without the claim ppml"
        : "expected an EAR token about hardware, got one with the claim ppml of a simulation",
    );
  return Object.freeze({ ear }) as VerifiedEar;
}

/** The token names its algorithm only to choose among the given keys: each is tried with its own. */
function keysFor(alg: string, keys: readonly EarKey[]): readonly EarKey[] {
  const algorithm = alg === "Ed25519" ? "EdDSA" : alg;
  const fitting = keys.filter((key) => key.algorithm === algorithm);
  if (fitting.length > 0 || keys.length === 0) return fitting;
  const given = [...new Set(keys.map((key) => key.algorithm))].join(" or ");
  throw refused(
    `the EAR token is not signed by a pinned key: it is signed with ${alg}, expected ${given}, for which the given keys are; where the Verifier's key is for ${alg}, give it as a JWK whose "alg" says so`,
  );
}

async function checkSignature(token: string, keys: readonly EarKey[]): Promise<void> {
  const causes: unknown[] = [];
  for (const { algorithm, publicKey } of keys) {
    const [type, curve] = KEYS_OF[algorithm];
    const { asymmetricKeyType, asymmetricKeyDetails } = publicKey;
    if (asymmetricKeyType !== type || asymmetricKeyDetails?.namedCurve !== curve) continue;
    try {
      // RFC 9864 calls the same algorithm Ed25519.
      const algorithms = algorithm === "EdDSA" ? ["EdDSA", "Ed25519"] : [algorithm];
      await compactVerify(token, publicKey, { algorithms });
      return;
    } catch (cause) {
      causes.push(cause);
    }
  }
  throw new PpmlError(
    "attest.not_verified",
    "the EAR token is not signed by a pinned key with its algorithm: pin the Verifier's key if you trust it",
    { cause: new AggregateError(causes) },
  );
}

/** Written so that a NaN is refused. */
function checkTimes(
  ear: Ear,
  options: { readonly nowMs: number; readonly maxAgeSeconds: number },
): void {
  const { nowMs } = options;
  const skewMs = EAR_CLOCK_SKEW_SECONDS * 1000;
  const ageMs = nowMs - ear.issuedAtMs;
  if (!(ageMs >= -skewMs && (ear.notBeforeMs ?? 0) <= nowMs + skewMs))
    throw refused("the EAR token is of the future: set the clock of this machine or its issuer's");
  const { expiresAtMs } = ear;
  if (!(nowMs < (expiresAtMs ?? Infinity) + skewMs))
    throw refused(
      `the EAR token is past its exp${expiresAtMs === null ? "" : `, ${toTimestamp(expiresAtMs)}`}: ask for a new one`,
    );
  if (!(ageMs <= options.maxAgeSeconds * 1000))
    throw refused(
      `the EAR token is ${Math.round(ageMs / 1000)} seconds old, at most ${options.maxAgeSeconds} are accepted: ask for a new one`,
    );
}

function refused(message: string): PpmlError {
  return new PpmlError("attest.not_verified", message);
}
