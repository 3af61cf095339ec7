import { createHash, createPrivateKey, createPublicKey, timingSafeEqual } from "node:crypto";
import { decodeJwt, errors, jwtVerify } from "jose";
import { OIDC_ISSUERS, RESOURCES } from "../state-kinds.ts";
import type { PrincipalDocument } from "../state-kinds.ts";
import type { TwinState } from "../state.ts";
import { EntraRefusal } from "./refusal.ts";

const HELP =
  "Check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation";

type Against = {
  readonly state: TwinState;
  readonly nowMs: number;
};

type FederatedCredential = PrincipalDocument["federatedCredentials"][number];

/** Compares a client secret with the application's. @throws EntraRefusal */
export function checkSecret(
  principal: PrincipalDocument,
  { secret, nowMs }: { readonly secret: string; readonly nowMs: number },
): void {
  const given = createHash("sha256").update(secret).digest();
  const match = principal.secrets.find((stored) =>
    timingSafeEqual(given, Buffer.from(stored.sha256, "hex")),
  );
  if (match === undefined)
    throw new EntraRefusal(
      "secret",
      `Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '${principal.clientId}'.`,
    );
  if (match.expiresMs <= nowMs)
    throw new EntraRefusal(
      "secretExpired",
      `The provided client secret keys for app '${principal.clientId}' are expired.`,
    );
}

/**
 * Checks a client assertion by the principal's federated credentials: issuer, subject and audience
 * letter by letter, the signature by the issuer's keys, and the times. @throws EntraRefusal
 * @see learn.microsoft.com/entra/workload-id/workload-identity-federation
 */
export async function checkAssertion(
  principal: PrincipalDocument,
  assertion: string,
  { state, nowMs }: Against,
): Promise<void> {
  const { issuer, subject, audiences } = unverified(assertion);
  const credentials = federatedCredentialsOf(principal, state);
  const ofIssuer = credentials.filter((credential) => credential.issuer === issuer);
  if (ofIssuer.length === 0)
    throw new EntraRefusal(
      "assertionIssuer",
      `No matching federated identity record found for presented assertion issuer '${issuer}'. ${HELP}`,
    );
  const ofSubject = ofIssuer.filter((credential) => credential.subject === subject);
  if (ofSubject.length === 0)
    throw new EntraRefusal(
      "assertionSubject",
      `No matching federated identity record found for presented assertion subject '${subject}'. ${HELP}`,
    );
  const isMeant = ofSubject.some((credential) =>
    credential.audiences.some((audience) => audiences.includes(audience)),
  );
  if (!isMeant)
    throw new EntraRefusal(
      "assertionAudience",
      `No matching federated identity record found for presented assertion audience '${audiences.join(" ")}'. ${HELP}`,
    );
  await checkSignature(assertion, { issuer, state, nowMs });
}

function unverified(assertion: string): {
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
} {
  try {
    const { iss, sub, aud } = decodeJwt(assertion);
    if (iss !== undefined && sub !== undefined && aud !== undefined)
      return { issuer: iss, subject: sub, audiences: [aud].flat() };
  } catch {
    // Answered below, as a claim that is missing.
  }
  throw new EntraRefusal("assertion", "The client assertion is not a JWT with iss, sub and aud.");
}

function federatedCredentialsOf(
  principal: PrincipalDocument,
  state: TwinState,
): readonly FederatedCredential[] {
  if (principal.resourceId === null) return principal.federatedCredentials;
  const prefix = `${principal.resourceId.toLowerCase()}/federatedidentitycredentials/`;
  return state.list(RESOURCES, { prefix }).map(({ document }) => {
    const { issuer, subject, audiences } = document.properties;
    return {
      issuer: String(issuer),
      subject: String(subject),
      audiences: Array.isArray(audiences) ? audiences.map(String) : [],
    };
  });
}

async function checkSignature(
  assertion: string,
  { issuer, state, nowMs }: Against & { readonly issuer: string },
): Promise<void> {
  const known = state.get(OIDC_ISSUERS, issuer);
  if (known === null)
    throw new EntraRefusal(
      "assertion",
      `The keys of the issuer '${issuer}' cannot be had: the double knows the issuers of its own clusters only.`,
    );
  const key = createPublicKey(createPrivateKey(known.privateKeyPem));
  try {
    await jwtVerify(assertion, key, {
      algorithms: ["RS256"],
      requiredClaims: ["exp"],
      currentDate: new Date(nowMs),
    });
  } catch (error) {
    if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed)
      throw new EntraRefusal(
        "assertionTime",
        `Client assertion is not within its valid time range. Current time: ${new Date(nowMs).toISOString()}.`,
      );
    throw new EntraRefusal("assertion", "Client assertion failed signature validation.");
  }
}
