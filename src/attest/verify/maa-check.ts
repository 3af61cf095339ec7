import { compactVerify } from "jose/jws/compact/verify";
import { z } from "zod";
import { PpmlError, toTimestamp } from "../../base/index.ts";
import { parseWith } from "../../format/schema.ts";
import type { MaaEvidence } from "../evidence/maa-evidence.ts";
import { parseCompactJws } from "../token/compact-jws.ts";
import type { CompactJws } from "../token/compact-jws.ts";
import { checkMaaBinding } from "./maa-binding.ts";
import type { MaaRuntimeData } from "./maa-binding.ts";
import { readMaaTee } from "./maa-claims.ts";
import { maaSigningKey } from "./maa-jwks.ts";
import { checkProviderPolicy, pinnedProvider } from "./maa-providers.ts";
import type { MaaProvider } from "./maa-providers.ts";

/** Clocks differ by so much at most: for exp, nbf and iat. */
export const MAA_CLOCK_SKEW_SECONDS = 60;

/** What the relying party demands of a token, besides that it is good in itself. */
export type MaaDemands = {
  /** The providers that are accepted. */
  readonly providers: readonly MaaProvider[];
  readonly runtimeData: MaaRuntimeData;
  /** The nonce that the request to MAA had, or that freshness comes from the runtime data. */
  readonly nonce: { readonly equals: string } | "in-runtime-data";
  /** Seconds since the token was issued, at most. MAA's tokens live for eight hours. */
  readonly maxAgeSeconds: number;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
};

/** What a token's header may have; jku is MAA's own and is never followed. */
const headerSchema = z.strictObject({
  alg: z.literal("RS256"),
  typ: z.literal("JWT").optional(),
  kid: z.string().regex(/^[A-Za-z0-9+/=_-]{1,200}$/, "expected a key id in base64"),
  jku: z.string().max(300).optional(),
});

const seconds = z.int().min(0).max(253_402_300_799);
const claimsSchema = z.looseObject({
  iss: z.string().max(300),
  iat: seconds,
  nbf: seconds,
  exp: seconds,
  jti: z.string().min(1).max(200),
  nonce: z.string().max(1000).optional(),
  "x-ms-ver": z.literal("1.0"),
  "x-ms-attestation-type": z.string().max(40),
  "x-ms-policy-hash": z.string().regex(/^[A-Za-z0-9_-]{43}$/, "expected a SHA-256 in base64url"),
  "x-ms-runtime": z.record(z.string(), z.unknown()).optional(),
});

type MaaHeader = z.infer<typeof headerSchema>;
type MaaCommonClaims = z.infer<typeof claimsSchema>;

/**
 * Checks all of a token but whether hardware stands behind it, which its two callers do first:
 * issuer, key, signature, times, policy, claims and binding. For verifiers alone.
 * @throws attest.invalid, attest.not_verified, attest.simulated, attest.unsupported
 */
export async function checkMaaToken(
  jws: CompactJws,
  options: MaaDemands & { readonly simulated: boolean },
): Promise<MaaEvidence> {
  const header = readHeader(jws);
  const claims = parseWith(claimsSchema, jws.payload, {
    what: "the MAA token",
    code: "attest.invalid",
  });
  const provider = pinnedProvider(options.providers, claims.iss);
  if (header.jku !== undefined && header.jku !== `${provider.issuer}/certs`)
    throw refused(`the token names other keys than its provider's: ${header.jku}`);
  const { jwks } = provider;
  const key = maaSigningKey({ ...options, jwks, keyId: header.kid });
  await checkSignature(jws, key);
  checkTimes(claims, options);
  checkProviderPolicy(provider, claims["x-ms-policy-hash"]);
  if (options.nonce !== "in-runtime-data" && claims.nonce !== options.nonce.equals)
    throw refused("the token does not hold the nonce of this request: ask for a new token");
  const tee = readMaaTee(claims["x-ms-attestation-type"], jws.payload);
  const runtime = claims["x-ms-runtime"] ?? null;
  checkMaaBinding({ tee, runtime, runtimeData: options.runtimeData });
  return {
    type: "maa",
    issuer: provider.issuer,
    policyHash: claims["x-ms-policy-hash"],
    tokenId: claims.jti,
    issuedAtMs: claims.iat * 1000,
    expiresAtMs: claims.exp * 1000,
    nonce: claims.nonce ?? null,
    tee,
    runtime,
  };
}

/** Takes a token apart and says who claims to have issued it. @throws attest.invalid */
export function parseMaaToken(token: string): CompactJws & { readonly issuer: string } {
  const jws = parseCompactJws(token, "the MAA token");
  const { iss } = jws.payload;
  if (typeof iss !== "string")
    throw new PpmlError("attest.invalid", "expected the claim iss in the MAA token");
  return { ...jws, issuer: iss };
}

/**
 * What a token claims of itself, before anything of it is verified: for looking up which provider's
 * keys are meant, and for when.
 * @throws attest.invalid
 */
export function peekMaaToken(token: string): {
  readonly issuer: string;
  readonly policyHash: string;
  /** Null where its header names no key. */
  readonly keyId: string | null;
  /** Milliseconds since 1970; NaN where it says none. */
  readonly issuedAtMs: number;
} {
  const { issuer, header, payload } = parseMaaToken(token);
  const { kid } = header;
  const hash = payload["x-ms-policy-hash"];
  if (typeof hash !== "string")
    throw new PpmlError("attest.invalid", "expected the claim x-ms-policy-hash in the MAA token");
  return {
    issuer,
    policyHash: hash,
    keyId: typeof kid === "string" ? kid : null,
    issuedAtMs: typeof payload["iat"] === "number" ? payload["iat"] * 1000 : Number.NaN,
  };
}

function readHeader(jws: CompactJws): MaaHeader {
  const { alg } = jws.header;
  // Draft policies give unsigned tokens; RFC 7519 section 6 calls them "none". Never a signature.
  if (alg !== "RS256")
    throw refused(
      `expected a token signed with RS256, got alg ${typeof alg === "string" ? alg.slice(0, 20) : typeof alg}`,
    );
  return parseWith(headerSchema, jws.header, {
    what: "the header of the MAA token",
    code: "attest.invalid",
  });
}

async function checkSignature(
  jws: CompactJws,
  key: Parameters<typeof compactVerify>[1],
): Promise<void> {
  try {
    await compactVerify(jws.token, key, { algorithms: ["RS256"] });
  } catch (cause) {
    throw new PpmlError(
      "attest.not_verified",
      "the MAA token is not signed by the key that it names: its bytes were changed",
      { cause },
    );
  }
}

/** Written so that a NaN is refused. @see RFC 7519 sections 4.1.4 to 4.1.6 */
function checkTimes(claims: MaaCommonClaims, demands: MaaDemands): void {
  const now = demands.nowMs / 1000;
  const skew = MAA_CLOCK_SKEW_SECONDS;
  if (!(claims.iat <= now + skew && claims.nbf <= now + skew))
    throw refused("the token is of the future: set the clock of this machine or its issuer's");
  if (!(claims.iat < claims.exp && claims.nbf < claims.exp))
    throw refused("the token ends before it begins: ask for a new token");
  if (!(now < claims.exp + skew))
    throw refused(
      `the token is past its exp, ${toTimestamp(claims.exp * 1000)}: ask for a new token`,
    );
  if (!(now - claims.iat <= demands.maxAgeSeconds))
    throw refused(
      `the token is ${Math.round(now - claims.iat)} seconds old, at most ${demands.maxAgeSeconds} are accepted: ask for a new token`,
    );
}

function refused(message: string): PpmlError {
  return new PpmlError("attest.not_verified", message);
}
