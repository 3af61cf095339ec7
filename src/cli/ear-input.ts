import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { resolve } from "node:path";
import { z } from "zod";
import {
  contraindicatedClaim,
  EAR_ALGORITHMS,
  earClaims,
  IETF_EAR_PROFILES,
  TRUSTEE_PROFILE,
  VERAISON_PROFILE,
  verifyEar,
} from "../attest/index.ts";
import type { EarAlgorithm, EarKey, EvidenceReport } from "../attest/index.ts";
import { fromBase64Url, fromUtf8, isPpmlError, PpmlError, readBoundedFile } from "../base/index.ts";
import { parseJson } from "../format/jcs.ts";
import { parseWith } from "../format/schema.ts";
import type { CliContext } from "./context.ts";
import type { EvidenceFlags, EvidenceInput } from "./evidence-input.ts";

const YEAR_SECONDS = 31_536_000;
const MAX_KEYS_BYTES = 1024 * 1024;

/** The flags that count for such a token, and those that cannot. */
type EarFlags = EvidenceFlags & { readonly policy?: string; readonly runtimeData?: string };

/** What each member is, is Node's to say; members that are not named here are not read. */
const jwkSchema = z.looseObject({
  kty: z.string().max(20),
  use: z.string().max(40).optional(),
  alg: z.string().max(40).optional(),
});
const keysSchema = z.union([
  z.looseObject({ keys: z.array(jwkSchema).min(1).max(100) }),
  jwkSchema.transform((key) => ({ keys: [key] })),
]);

/**
 * Verifies an EAR token, another Verifier's Attestation Result, by the keys of `--collateral` (a JWK, a
 * JWK Set, or a public key in PEM). Its status stands among the claims; whether it is enough is not
 * judged, but that one which its Verifier contraindicates is refused.
 * @throws attest.collateral attest.invalid attest.not_verified
 */
export async function reportEar(
  context: CliContext,
  input: EvidenceInput,
  flags: EarFlags,
): Promise<EvidenceReport> {
  if (flags.collateral === undefined)
    throw new PpmlError(
      "attest.collateral",
      "an EAR token is another Verifier's result: give that Verifier's public key as JWK or PEM (--collateral)",
    );
  const token = fromUtf8(fromBase64Url(input.wire.evidence));
  const { ear } = await verifyEar(token, {
    keys: await loadKeys(resolve(context.cwd, flags.collateral)),
    profiles: [TRUSTEE_PROFILE, VERAISON_PROFILE, ...IETF_EAR_PROFILES],
    nonce: "by-age",
    maxAgeSeconds: YEAR_SECONDS,
    simulated: false,
    nowMs: input.nowMs,
  });
  const contraindicated = contraindicatedClaim(ear);
  return {
    verified: contraindicated === null,
    kind: "ear",
    simulated: ear.simulated,
    tcbStatus: null,
    advisoryIds: [],
    claims: earClaims(ear),
    refusal: contraindicated === null ? notJudged(flags) : advisedAgainst(contraindicated),
    appraisal: null,
  };
}

/** @see draft-ietf-rats-ar4si section 2.3.2: contraindicated is a Verifier's word against the attester */
function advisedAgainst(claim: string): EvidenceReport["refusal"] {
  return {
    code: "attest.unprotected",
    message: `the EAR token is genuine, and says that its attester is not to be trusted: ${claim} is contraindicated`,
    remedy:
      "Ask its Verifier why: its trustworthiness vector and appraisal policy say it. Then mend the attester, and let it attest again.",
  };
}

/** What was asked for and cannot be done is no success. */
function notJudged(flags: EarFlags): EvidenceReport["refusal"] {
  const asked = flags.policy === undefined ? "runtimeData" : "policy";
  if (flags[asked] === undefined) return null;
  const flag = { policy: "--policy", runtimeData: "--runtime-data" }[asked];
  return {
    code: "release.denied",
    message: `${flag} judges Evidence, and an EAR token is another Verifier's result: nothing of it was compared`,
    remedy: `Verify the token without ${flag}, and judge the statuses among its claims; or give the Evidence that the Verifier had.`,
  };
}

async function loadKeys(path: string): Promise<EarKey[]> {
  const what = `the keys ${path}`;
  const options = { what, maxBytes: MAX_KEYS_BYTES, code: "attest.collateral" } as const;
  const bytes = await readBoundedFile(path, options);
  // "-": PEM begins with dashes.
  const keys = bytes[0] === 0x2d ? [keyOfPem(bytes, path)] : keysOfJson(bytes, path);
  if (keys.length > 0) return keys;
  throw new PpmlError(
    "attest.collateral",
    `no key in ${path} is one that EAR tokens are verified with: expected a public key for ${ALGORITHMS}`,
  );
}

const ALGORITHMS = `${EAR_ALGORITHMS.join(", ")} (RSA of 2048 bits at least)`;

/** RFC 7517 section 5: keys of a set that are of another kind, or lack a member, "SHOULD" be ignored. */
function keysOfJson(bytes: Uint8Array, path: string): EarKey[] {
  const { keys } = parseWith(keysSchema, parse(bytes, path), {
    what: path,
    code: "attest.collateral",
  });
  return keys.flatMap((jwk) => {
    const isKnown =
      ["EC", "RSA"].includes(jwk.kty) || (jwk.kty === "OKP" && jwk["crv"] === "Ed25519");
    if (!isKnown || (jwk.use ?? "sig") !== "sig") return [];
    const key = keyOfJwk(jwk);
    if (key === null) return [];
    const [own, ...others] = algorithmsOf(key);
    // RFC 9864 calls the same algorithm Ed25519.
    const said = jwk.alg === "Ed25519" ? "EdDSA" : (jwk.alg ?? own);
    const algorithm = [own, ...others].find((candidate) => candidate === said);
    return algorithm === undefined ? [] : [{ algorithm, publicKey: key }];
  });
}

function keyOfJwk(jwk: z.infer<typeof jwkSchema>): KeyObject | null {
  try {
    return createPublicKey({ key: jwk, format: "jwk" });
  } catch {
    return null; // None, or of a curve that is not known: the caller says so where no other is left.
  }
}

function keyOfPem(bytes: Uint8Array, path: string): EarKey {
  const key = publicKeyOfPem(bytes, path);
  const [algorithm] = algorithmsOf(key);
  if (algorithm !== undefined) return { algorithm, publicKey: key };
  throw new PpmlError(
    "attest.collateral",
    `the key in ${path} is none for ${ALGORITHMS}, which EAR tokens are verified with`,
  );
}

/**
 * What a key can be for; the first where nothing says which. RSA alone has several: a key for PSS has to
 * come as a JWK that says so, for a token's word does not count.
 */
function algorithmsOf(key: KeyObject): readonly EarAlgorithm[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "rsa") return isStrongRsa(details) ? ["RS256", "PS256", "PS384", "PS512"] : [];
  if (type === "ed25519") return ["EdDSA"];
  // The names of OpenSSL.
  if (details?.namedCurve === "prime256v1") return ["ES256"];
  if (details?.namedCurve === "secp384r1") return ["ES384"];
  return details?.namedCurve === "secp521r1" ? ["ES512"] : [];
}

/** RFC 7518 section 3.3 demands 2048 bits; of the exponent 1 anybody makes signatures. */
function isStrongRsa(details: KeyObject["asymmetricKeyDetails"]): boolean {
  return (details?.modulusLength ?? 0) >= 2048 && (details?.publicExponent ?? 0n) > 2n;
}

function publicKeyOfPem(bytes: Uint8Array, path: string): KeyObject {
  try {
    return createPublicKey(Buffer.from(bytes));
  } catch (cause) {
    throw new PpmlError("attest.collateral", `the key in ${path} is none`, { cause });
  }
}

function parse(bytes: Uint8Array, path: string): unknown {
  try {
    return parseJson(bytes, path);
  } catch (cause) {
    if (!isPpmlError(cause)) throw cause;
    throw new PpmlError(
      "attest.collateral",
      `${cause.message}: expected the Verifier's public key as JWK, JWK Set or PEM`,
      { cause },
    );
  }
}
