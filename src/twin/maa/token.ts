import { CompactSign } from "jose";
import { equalBytes, sha256, toBase64Url, toHex, utf8 } from "../../base/index.ts";
import { parseUniqueJson } from "../../attest/token/unique-json.ts";
import type { MaaAuthority } from "./authority.ts";
import { invalidParameter } from "./refusal.ts";
import type { AttestRequest, BoundData } from "./request.ts";
import type { AttestedClaims } from "./snp.ts";

/** MAA's tokens live for eight hours. */
const LIFETIME_SECONDS = 8 * 3600;

/** The policy that every provider has from the start: it permits whatever verifies. */
export const DEFAULT_POLICY =
  "version= 1.0;\nauthorizationrules\n{\n  => permit();\n};\nissuancerules\n{\n};\n";

/** `x-ms-policy-hash` of a policy's text. @see MAA's EAT profile: BASE64URL(SHA256(UTF8(BASE64URL(UTF8(policy))))) */
export function policyHashOf(policy: string): string {
  return toBase64Url(sha256(utf8(toBase64Url(utf8(policy)))));
}

/**
 * Issues a token in MAA's form, marked `ppml.simulated`. A request with a draft policy gets an
 * unsigned token (alg none), as from MAA: good for trying the policy, and for nothing else.
 * @throws MaaRefusal where the Evidence does not bind the request's data
 */
export async function issueMaaToken(options: {
  readonly authority: MaaAuthority;
  readonly request: AttestRequest;
  readonly attested: AttestedClaims;
  /** 32 bytes, for the token's id. */
  readonly random: Uint8Array;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}): Promise<string> {
  const { authority, request, attested } = options;
  requireBound(request.runtimeData, attested.reportData.subarray(0, 32), "runtimeData");
  requireBound(request.initTimeData, attested.initData, "initTimeData");
  const issuedAt = Math.floor(options.nowMs / 1000);
  const claims = {
    iss: authority.issuer,
    iat: issuedAt,
    nbf: issuedAt,
    exp: issuedAt + LIFETIME_SECONDS,
    jti: toHex(options.random),
    ...(request.nonce === null ? {} : { nonce: request.nonce }),
    "x-ms-ver": "1.0",
    "x-ms-policy-hash": policyHashOf(request.draftPolicy ?? DEFAULT_POLICY),
    ...attested.claims,
    ...jsonClaim("x-ms-runtime", request.runtimeData),
    ...jsonClaim("x-ms-inittime", request.initTimeData),
    ppml: { simulated: true },
  };
  const payload = utf8(JSON.stringify(claims));
  if (request.draftPolicy !== null)
    return `${toBase64Url(utf8('{"alg":"none","typ":"JWT"}'))}.${toBase64Url(payload)}.`;
  return new CompactSign(payload)
    .setProtectedHeader({
      alg: "RS256",
      jku: `${authority.issuer}/certs`,
      kid: authority.keyId,
      typ: "JWT",
    })
    .sign(authority.privateKey);
}

/** The rule of MAA: the SHA-256 of the data is what the Evidence binds. */
function requireBound(data: BoundData | null, bound: Uint8Array, what: string): void {
  if (data !== null && !equalBytes(sha256(data.bytes), bound))
    throw invalidParameter(`${what}: its SHA-256 is not what the Evidence binds`);
}

function jsonClaim(name: string, data: BoundData | null): Readonly<Record<string, unknown>> {
  if (data?.dataType !== "JSON") return {};
  try {
    const value = parseUniqueJson(data.bytes, name);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return { [name]: value };
  } catch (cause) {
    throw invalidParameter(`${name}: the data of type JSON is not JSON`, cause);
  }
  throw invalidParameter(`${name}: the data of type JSON is not a JSON object`);
}
