import { PpmlError } from "../base/index.ts";
import type { AttestationResult } from "../attest/appraise/appraise.ts";
import { refusePublishedKey, refusePublishedKeyDigest } from "../attest/verify/published.ts";
import type { Mode, WrappedLocalKey } from "../format/kek.ts";
import { rcarPublicKeyOf } from "../format/rcar.ts";
import type { Resource } from "../format/resource.ts";
import type { VerifiedObject } from "../format/signed-object.ts";
import { holdsExactly } from "./bound-data.ts";
import { checkAttestation } from "./check-attestation.ts";
import type { AttestationRules } from "./check-attestation.ts";
import { boundByGuest } from "./guest-binding.ts";
import type { GuestBinding } from "./guest-binding.ts";
import type { Policy } from "./policy.ts";

/** An attested guest without a job, that asks for one resource. */
export type ResourceRelease = {
  readonly kind: "resource";
  /** What the appraisal under this policy found. */
  readonly result: AttestationResult;
  readonly binding: GuestBinding;
  readonly resource: VerifiedObject<Resource>;
};

/** The parts of a policy that resources need. @throws release.denied where it lists no such path */
export function requireResourceRules(policy: Policy, path: string): AttestationRules {
  const { appraisal, release, resources } = policy;
  if (appraisal === null || release === null || !resources.includes(path))
    throw new PpmlError(
      "release.denied",
      `policy ${policy.name} does not list the resource ${path}: add it to resources and apply the policy`,
    );
  return { appraisal, release };
}

/**
 * Checks a guest's request for a resource against one policy, and gives its content's wrapped key: it lists the path, its appraisal accepts
 * Evidence that binds exactly this key (and nonce), and its release part is met.
 * @throws release.binding release.denied attest.denied attest.simulated
 */
export function checkResource(options: {
  readonly by: ResourceRelease;
  readonly policy: Policy;
  readonly mode: Mode;
}): WrappedLocalKey {
  const { by, policy, mode } = options;
  const { result, binding } = by;
  const { path, sealed } = by.resource.payload;
  const rules = requireResourceRules(policy, path);
  if (!holdsExactly(result, boundByGuest(result.verified.evidence, binding)))
    throw new PpmlError(
      "release.binding",
      "the Evidence does not bind this guest's key and nonce: let it attest again",
    );
  const runtimeData = binding.kind === "rcar" ? binding.runtimeData : null;
  if (binding.kind === "ra-tls") refusePublishedKeyDigest(binding.publicKeySha256);
  else refusePublishedKey(rcarPublicKeyOf(binding.runtimeData["tee-pubkey"]));
  checkAttestation({ result, runtimeData, rules, mode });
  if (sealed === null)
    throw new PpmlError(
      "release.denied",
      `the resource ${path} was removed: put it with \`ppml broker resource put ${path}\``,
    );
  return sealed.key;
}
