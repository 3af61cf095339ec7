import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { z } from "zod";
import { fromBase64, PpmlError } from "../../base/index.ts";
import { parseWith } from "../../format/schema.ts";
import { SIMULATION_MARK } from "../evidence/simulation-mark.ts";
import { parseUniqueJson } from "../token/unique-json.ts";
import { parseCertificate } from "../x509/certificate.ts";
import type { Certificate } from "../x509/certificate.ts";

/** MAA's answers are some 35 KiB. */
export const MAX_JWKS_BYTES = 1024 * 1024;

const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/** MAA sends `kid`, `kty` and `x5c`; a file may have `n` and `e` besides or instead. */
const jwkSchema = z.looseObject({
  kid: z.string().min(1).max(200),
  kty: z.string().max(10),
  use: z.string().max(10).optional(),
  alg: z.string().max(20).optional(),
  n: z.string().max(2048).optional(),
  e: z.string().max(12).optional(),
  x5c: z.array(z.string().max(100_000)).min(1).max(10).optional(),
});
const jwksSchema = z.looseObject({ keys: z.array(jwkSchema).max(100) });

type MaaJwk = z.infer<typeof jwkSchema>;

/** The signing keys of one provider, as it published them. */
export type MaaJwks = { readonly keys: readonly MaaJwk[] };

/**
 * Parses a provider's JWK Set, at most 1 MiB and 100 keys. Each key is looked at when it is used.
 * @throws attest.invalid
 * @see RFC 7517 section 5
 */
export function parseMaaJwks(bytes: Uint8Array): MaaJwks {
  if (bytes.byteLength > MAX_JWKS_BYTES)
    throw new PpmlError(
      "attest.invalid",
      `expected a JWK Set of at most ${MAX_JWKS_BYTES} bytes, got ${bytes.byteLength}`,
    );
  const what = "the provider's JWK Set";
  return parseWith(jwksSchema, parseUniqueJson(bytes, what), { what, code: "attest.invalid" });
}

/**
 * The key that a token names. Nothing but `jwks` is asked: where it came from (TLS to the pinned
 * issuer, or a file) is what roots it, because MAA signs with certificates of its own making. Where
 * the key has a certificate, it must be valid now, and be this key's.
 * @throws attest.not_verified for no key or several, a weak or foreign one, or one out of its time;
 * attest.simulated where production meets the simulation's key, or a simulation another
 */
export function maaSigningKey(options: {
  readonly jwks: MaaJwks;
  readonly keyId: string;
  readonly simulated: boolean;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}): KeyObject {
  const { jwks, keyId } = options;
  const [jwk, ...rest] = jwks.keys.filter(({ kid }) => kid === keyId);
  if (jwk === undefined)
    throw refused(`the provider has no key "${keyId}": fetch its keys again, or refuse the token`);
  if (rest.length > 0) throw refused(`the provider's JWK Set has the key "${keyId}" twice`);
  if (jwk.kty !== "RSA" || (jwk.use ?? "sig") !== "sig" || (jwk.alg ?? "RS256") !== "RS256")
    throw refused(`the provider's key "${keyId}" is not an RSA key that signs with RS256`);
  if (PRIVATE_MEMBERS.some((member) => member in jwk))
    throw refused(`the provider's key "${keyId}" has private members: it is no longer secret`);
  const certificate = leafOf(jwk);
  if (certificate !== null) checkLeaf(certificate, options.nowMs);
  checkSimulation(certificate, options.simulated);
  const key = publicKeyOf(jwk, certificate);
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  const strong = modulusLength >= MIN_RSA_BITS && modulusLength <= MAX_RSA_BITS;
  if (key.asymmetricKeyType !== "rsa" || !strong || publicExponent > 0xffff_ffffn)
    throw refused(
      `expected a key "${keyId}" of ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits of RSA, got ${modulusLength}`,
    );
  return key;
}

function leafOf(jwk: MaaJwk): Certificate | null {
  const [leaf] = jwk.x5c ?? [];
  if (leaf === undefined) return null;
  try {
    return parseCertificate(fromBase64(leaf));
  } catch (cause) {
    throw new PpmlError("attest.not_verified", `the certificate of "${jwk.kid}" does not parse`, {
      cause,
    });
  }
}

function checkLeaf(certificate: Certificate, nowMs: number): void {
  // Written so that a NaN is refused.
  if (!(nowMs >= certificate.notBeforeMs && nowMs <= certificate.notAfterMs))
    throw refused(`the certificate "${certificate.commonName}" is not valid at this time`);
}

function checkSimulation(certificate: Certificate | null, simulated: boolean): void {
  const marked = certificate?.commonName.includes(SIMULATION_MARK) ?? false;
  if (marked !== simulated)
    throw new PpmlError(
      "attest.simulated",
      simulated
        ? `expected a key whose certificate says "${SIMULATION_MARK}"`
        : "expected a key of Azure, got one of a simulation: it proves nothing about a machine",
    );
}

function publicKeyOf(jwk: MaaJwk, certificate: Certificate | null): KeyObject {
  const { n, e } = jwk;
  if (n === undefined || e === undefined) {
    if (certificate === null || n !== e)
      throw refused(`the provider's key "${jwk.kid}" has neither n and e nor a certificate alone`);
    return certificate.publicKey;
  }
  let key: KeyObject;
  try {
    key = createPublicKey({ key: { kty: "RSA", n, e }, format: "jwk" });
  } catch (cause) {
    throw new PpmlError("attest.not_verified", `the provider's key "${jwk.kid}" does not parse`, {
      cause,
    });
  }
  if (certificate !== null && !certificate.publicKey.equals(key))
    throw refused(`the provider's key "${jwk.kid}" is not the key of its certificate`);
  return key;
}

function refused(message: string): PpmlError {
  return new PpmlError("attest.not_verified", message);
}
