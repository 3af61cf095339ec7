import { createPrivateKey, randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import { PpmlError } from "../../base/index.ts";
import { OIDC_ISSUERS } from "../state-kinds.ts";
import type { TwinState } from "../state.ts";

/** The audience that Entra ID wants of a federated token. */
export const FEDERATION_AUDIENCE = "api://AzureADTokenExchange";

/**
 * A token of a Kubernetes service account, as an AKS cluster of the double projects it into a pod.
 * Times in milliseconds since 1970.
 * @throws twin.state where the issuer is not one of the double's clusters
 * @see learn.microsoft.com/azure/aks/workload-identity-overview
 */
export async function issueServiceAccountToken(
  state: TwinState,
  asked: {
    readonly issuer: string;
    /** `system:serviceaccount:NAMESPACE:NAME`. */
    readonly subject: string;
    readonly audience: string;
    readonly nowMs: number;
    readonly expiresMs: number;
  },
): Promise<string> {
  const issuer = state.get(OIDC_ISSUERS, asked.issuer);
  if (issuer === null)
    throw new PpmlError("twin.state", `the double has no issuer ${asked.issuer}: name a cluster's`);
  return new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: "RS256", kid: issuer.kid, typ: "JWT" })
    .setIssuer(asked.issuer)
    .setSubject(asked.subject)
    .setAudience(asked.audience)
    .setIssuedAt(Math.floor(asked.nowMs / 1000))
    .setNotBefore(Math.floor(asked.nowMs / 1000))
    .setExpirationTime(Math.floor(asked.expiresMs / 1000))
    .sign(createPrivateKey(issuer.privateKeyPem));
}
