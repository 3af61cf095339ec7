import { createPublicKey } from "node:crypto";
import { jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import type { TwinPrincipal } from "../service.ts";
import type { SigningKey } from "../signing-key.ts";
import { PRINCIPALS } from "../state-kinds.ts";
import type { PrincipalDocument } from "../state-kinds.ts";
import type { TwinState } from "../state.ts";
import { isSameResource } from "./audiences.ts";

/** How long an access token of the double lives. */
export const TOKEN_LIFETIME_SECONDS = 3600;

const claimsSchema = z.object({
  oid: z.guid(),
  tid: z.guid(),
  appid: z.guid(),
  aud: z.string(),
  ppml: z.strictObject({ simulated: z.literal(true) }),
});

/** Who the double's tokens say that they are from: never Entra ID. */
export function tokenIssuer(tenantId: string): string {
  return `https://sts.simulation.invalid/${tenantId}/`;
}

/**
 * Issues an access token in the form of Entra ID's version 1.0 for an application, marked
 * `ppml.simulated`. Times in milliseconds since 1970.
 * @see learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 */
export async function issueAccessToken(options: {
  readonly principal: PrincipalDocument;
  readonly resource: string;
  readonly key: SigningKey;
  readonly nowMs: number;
  /** Until when it is valid. */
  readonly expiresMs: number;
  readonly id: string;
}): Promise<string> {
  const { principal, resource, key } = options;
  const issuer = tokenIssuer(principal.tenantId);
  const issuedAt = Math.floor(options.nowMs / 1000);
  const expiresAt = Math.floor(options.expiresMs / 1000);
  const claims = {
    aud: resource,
    iss: issuer,
    // What the clocks of two machines may differ, as Entra ID allows for it.
    iat: Math.min(issuedAt, expiresAt) - 300,
    nbf: Math.min(issuedAt, expiresAt) - 300,
    exp: expiresAt,
    appid: principal.clientId,
    appidacr: "2",
    idp: issuer,
    idtyp: "app",
    oid: principal.objectId,
    sub: principal.objectId,
    tid: principal.tenantId,
    uti: options.id,
    ver: "1.0",
    ...(principal.resourceId === null ? {} : { xms_mirid: principal.resourceId }),
    ppml: { simulated: true },
  };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "RS256", typ: "JWT", kid: key.kid, x5t: key.kid })
    .sign(key.privateKey);
}

/**
 * The principal of `Bearer TOKEN`, where the token is the double's own, in time, for one of the
 * audiences, and its principal is still there. @see TwinAuthority.principalOf
 */
export async function verifyAccessToken(
  authorization: string | undefined,
  options: {
    readonly audiences: readonly string[];
    readonly key: SigningKey;
    readonly state: TwinState;
    readonly nowMs: number;
  },
): Promise<TwinPrincipal | null> {
  const [, token] = /^Bearer ([A-Za-z0-9_.-]{1,16384})$/i.exec(authorization ?? "") ?? [];
  if (token === undefined) return null;
  const { key, nowMs } = options;
  try {
    const { payload } = await jwtVerify(token, createPublicKey(key.privateKey), {
      algorithms: ["RS256"],
      currentDate: new Date(nowMs),
      requiredClaims: ["exp", "nbf"],
    });
    const claims = claimsSchema.parse(payload);
    if (payload.iss !== tokenIssuer(claims.tid)) return null;
    if (!options.audiences.some((audience) => isSameResource(audience, claims.aud))) return null;
    const principal = options.state.get(PRINCIPALS, claims.oid);
    if (principal === null || principal.clientId !== claims.appid) return null;
    return { objectId: claims.oid, tenantId: claims.tid, applicationId: claims.appid };
  } catch {
    return null;
  }
}
