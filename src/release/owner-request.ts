import { PpmlError } from "../base/index.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import { ownerRequestSchema } from "../format/protocol.ts";
import type { OwnerRequest } from "../format/protocol.ts";
import type { EcPublicJwk } from "../format/schema.ts";
import { verifyObject } from "../format/signed-object.ts";
import type { Envelope, VerifiedObject } from "../format/signed-object.ts";
import type { Policy } from "./policy.ts";

declare const ownerBrand: unique symbol;

/** A request signed by a key that the policy's ownerOpen names. Only `verifyOwnerRequest` makes one. */
export type VerifiedOwnerRequest = {
  readonly payload: OwnerRequest;
  readonly digest: string;
  /** Thumbprint of the key that signed. */
  readonly signer: string;
  /** Digest of the policy that named the signer. */
  readonly policyDigest: string;
  readonly [ownerBrand]: true;
};

/**
 * Verifies that a key of the policy's `ownerOpen` signed the request, and that it is for this policy.
 * A thumbprint in `ownerOpen` stands for `owner`, the broker's own, where it is that key's.
 * @throws release.owner, format.invalid
 */
export function verifyOwnerRequest(options: {
  readonly envelope: Envelope;
  readonly policy: VerifiedObject<Policy>;
  readonly owner: EcPublicJwk;
}): VerifiedOwnerRequest {
  const { envelope, policy, owner } = options;
  const ownerThumbprint = jwkThumbprint(owner);
  const signers = policy.payload.ownerOpen.flatMap((key) => {
    if (typeof key !== "string") return [key];
    return key === ownerThumbprint ? [owner] : [];
  });
  const verified = verifySigned(envelope, signers, policy.payload.name);
  if (verified.payload.policy !== policy.payload.name)
    throw new PpmlError(
      "release.owner",
      `the request is for policy ${verified.payload.policy}, not ${policy.payload.name}`,
    );
  return {
    payload: verified.payload,
    digest: verified.digest,
    signer: verified.keyId,
    policyDigest: policy.digest,
  } as VerifiedOwnerRequest;
}

function verifySigned(
  envelope: Envelope,
  signers: readonly EcPublicJwk[],
  policyName: string,
): VerifiedObject<OwnerRequest> {
  try {
    return verifyObject({ kind: "owner-request", schema: ownerRequestSchema, envelope, signers });
  } catch (cause) {
    if (!(cause instanceof PpmlError) || cause.code !== "format.signature") throw cause;
    throw new PpmlError(
      "release.owner",
      `policy ${policyName} lets only the keys of its ownerOpen open in person, and none of them signed this request: sign with one of them, or add the key and apply the policy`,
      { cause, detail: { ...cause.detail } },
    );
  }
}
