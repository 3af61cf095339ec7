import { PpmlError } from "../base/index.ts";
import type { AttestationResult } from "../attest/appraise/appraise.ts";
import { refusePublishedKey } from "../attest/verify/published.ts";
import type { Mode, WrappedLocalKey } from "../format/kek.ts";
import { rcarPublicKeyOf, rcarRuntimeBytes } from "../format/rcar.ts";
import type { RcarRuntimeData, RcarTeeKey } from "../format/rcar.ts";
import type { Resource } from "../format/resource.ts";
import type { VerifiedObject } from "../format/signed-object.ts";
import { bindsExactly } from "./bound-data.ts";
import { checkAttestation } from "./check-attestation.ts";
import type { AttestationRules } from "./check-attestation.ts";
import type { Policy } from "./policy.ts";

/** An attested guest without a job, that asks for one resource. */
export type ResourceRelease = {
  readonly kind: "resource";
  /** What the appraisal under this policy found. */
  readonly result: AttestationResult;
  readonly runtimeData: RcarRuntimeData;
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
 * Checks a guest's request for a resource against one policy: it lists the path, its appraisal accepts
 * Evidence that binds exactly this nonce and key, and its release part is met.
 * @throws release.binding release.denied attest.denied attest.simulated
 */
export function checkResource(options: {
  readonly by: ResourceRelease;
  readonly policy: Policy;
  readonly mode: Mode;
}): { readonly key: WrappedLocalKey; readonly recipient: RcarTeeKey } {
  const { by, policy, mode } = options;
  const { result, runtimeData } = by;
  const { path, sealed } = by.resource.payload;
  const rules = requireResourceRules(policy, path);
  if (!bindsExactly(result, rcarRuntimeBytes(runtimeData)))
    throw new PpmlError(
      "release.binding",
      "the Evidence does not bind this nonce and key: begin with /kbs/v0/auth again",
    );
  refusePublishedKey(rcarPublicKeyOf(runtimeData["tee-pubkey"]));
  checkAttestation({ result, runtimeData, rules, mode });
  if (sealed === null)
    throw new PpmlError(
      "release.denied",
      `the resource ${path} was removed: put it with \`ppml broker resource put ${path}\``,
    );
  return { key: sealed.key, recipient: runtimeData["tee-pubkey"] };
}
