import { PpmlError } from "../base/index.ts";
import type { AttestationResult } from "../attest/appraise/appraise.ts";
import { refusePublishedKey } from "../attest/verify/published.ts";
import type { AttestationResultData } from "../format/attestation-result.ts";
import { encodeJcs } from "../format/jcs.ts";
import type { Job } from "../format/job.ts";
import { ecPublicKeyOf, jwkThumbprint } from "../format/jwk.ts";
import type { Mode, WrappedLocalKey } from "../format/kek.ts";
import type { Resource } from "../format/resource.ts";
import type { RuntimeData } from "../format/runtime-data.ts";
import type { EcPublicJwk } from "../format/schema.ts";
import type { VerifiedObject } from "../format/signed-object.ts";
import { bindsExactly } from "./bound-data.ts";
import { checkAttestation, checkNamesPod } from "./check-attestation.ts";
import { checkJob } from "./check-job.ts";
import { checkResource } from "./check-resource.ts";
import type { ResourceRelease } from "./check-resource.ts";
import type { GuestBinding } from "./guest-binding.ts";
import type { VerifiedOwnerRequest } from "./owner-request.ts";
import type { JobPolicy, Policy } from "./policy.ts";

/** An attested job that asks for keys. */
export type JobRelease = {
  readonly kind: "job";
  /** What the appraisal under this policy found. */
  readonly result: AttestationResult;
  readonly job: VerifiedObject<Job>;
  readonly runtimeData: RuntimeData;
  readonly keys: readonly WrappedLocalKey[];
  readonly datasets: readonly string[];
};

/** An owner who asks in person. */
export type OwnerRelease = { readonly kind: "owner"; readonly request: VerifiedOwnerRequest };

declare const decisionBrand: unique symbol;
declare const resourceBrand: unique symbol;

/** A release that was granted: which wrapped keys may be unwrapped, and for whom. Only `release` makes one. */
export type ReleaseDecision = {
  readonly mode: Mode;
  readonly request: { readonly kind: "job" | "owner"; readonly digest: string };
  readonly policy: { readonly name: string; readonly digest: string };
  readonly purpose: string;
  /** The job's name; for an owner the policy's. */
  readonly name: string;
  readonly nonce: string;
  /** The P-256 key that the answer is encrypted to. */
  readonly recipient: EcPublicJwk;
  /** The TEE's signing key; null for an owner. */
  readonly signingKey: EcPublicJwk | null;
  readonly keys: readonly WrappedLocalKey[];
  readonly datasets: readonly string[];
  /** Null for an owner. */
  readonly attestation: AttestationResultData | null;
  /** What the job may write; null for an owner. */
  readonly output: Job["output"] | null;
  readonly [decisionBrand]: true;
};

/** A resource that was granted to an attested guest. Only `release` makes one. */
export type ResourceDecision = {
  readonly mode: Mode;
  readonly request: { readonly kind: "resource"; readonly digest: string };
  readonly policy: { readonly name: string; readonly digest: string };
  readonly resource: Resource;
  /** The wrapped key of its content. */
  readonly key: WrappedLocalKey;
  /** Whom the Evidence names: the answer is for this guest alone. */
  readonly binding: GuestBinding;
  readonly attestation: AttestationResultData;
  readonly [resourceBrand]: true;
};

type ReleaseOptions<BY> = {
  readonly by: BY;
  readonly policy: VerifiedObject<Policy>;
  readonly mode: Mode;
  readonly nowMs: number;
};

/**
 * Decides on a release: every check of docs/protocol.md "Release", each with its own refusal; all
 * keys that were asked for, or none. That the nonce is open is the caller's to check and to spend.
 * @throws release.policy release.binding release.denied release.job release.not_granted
 *   format.expired attest.simulated
 */
export function release(options: ReleaseOptions<JobRelease | OwnerRelease>): ReleaseDecision;
/** Decides on a resource for an attested guest: docs/protocol.md "Resources". */
export function release(options: ReleaseOptions<ResourceRelease>): ResourceDecision;
export function release(
  options: ReleaseOptions<JobRelease | OwnerRelease | ResourceRelease>,
): ReleaseDecision | ResourceDecision {
  const { by, mode } = options;
  if (by.kind === "resource") return releaseResource({ ...options, by });
  const policy = { name: options.policy.payload.name, digest: options.policy.digest };
  if (by.kind === "owner") {
    const { payload, digest, policyDigest } = by.request;
    if (policyDigest !== policy.digest)
      throw new PpmlError("release.policy", "the policy changed meanwhile: ask again");
    requireGranted(payload.keys, options.policy.payload, OWNER_REMEDY);
    return mint({
      mode,
      policy,
      request: { kind: "owner", digest },
      name: policy.name,
      purpose: payload.purpose,
      nonce: payload.nonce,
      recipient: payload.recipient,
      signingKey: null,
      keys: payload.keys,
      datasets: payload.datasets,
      attestation: null,
      output: null,
    });
  }
  const { job, result, runtimeData } = by;
  const { signingKey, encryptionKey } = checkBinding(by);
  const rules = requireJobRules(options.policy.payload);
  checkAttestation({ result, runtimeData, rules, mode });
  checkNamesPod(result, rules.jobs.codeDigests);
  checkJob({ job, policy: options.policy.payload, rules: rules.jobs, nowMs: options.nowMs });
  requireGranted(by.keys, options.policy.payload, JOB_REMEDY);
  return mint({
    mode,
    policy,
    request: { kind: "job", digest: job.digest },
    name: job.payload.name,
    purpose: job.payload.purpose,
    nonce: runtimeData.nonce,
    recipient: encryptionKey,
    signingKey,
    keys: by.keys,
    datasets: by.datasets,
    attestation: result.data,
    output: job.payload.output,
  });
}

function releaseResource(options: ReleaseOptions<ResourceRelease>): ResourceDecision {
  const { by, mode, policy } = options;
  const key = checkResource({ by, policy: policy.payload, mode });
  requireGranted([key], policy.payload, RESOURCE_REMEDY);
  const decision: Omit<ResourceDecision, typeof resourceBrand> = {
    mode,
    request: { kind: "resource", digest: by.resource.digest },
    policy: { name: policy.payload.name, digest: policy.digest },
    resource: by.resource.payload,
    key,
    binding: by.binding,
    attestation: by.result.data,
  };
  return Object.freeze(decision) as ResourceDecision;
}

/** The parts of a policy that approve jobs. @throws release.job where it approves none */
export function requireJobRules(policy: Policy): JobPolicy {
  const { appraisal, release: skr, jobs } = policy;
  if (appraisal === null || skr === null || jobs === null)
    throw new PpmlError(
      "release.job",
      `policy ${policy.name} approves no jobs: name another policy in the job`,
    );
  return { appraisal, release: skr, jobs };
}

/** The Evidence's report data has to bind this job, this nonce and these keys, and nothing else. */
function checkBinding(by: JobRelease): {
  readonly encryptionKey: EcPublicJwk;
  readonly signingKey: EcPublicJwk;
} {
  const { job, result, runtimeData } = by;
  if (runtimeData["job-digest"] !== job.digest)
    throw binding("the Evidence was made for another job than the one that was sent");
  if (!bindsExactly(result, encodeJcs(runtimeData)))
    throw binding("the Evidence's report data is not the digest of the runtime data that was sent");
  const [encryption, signing] = runtimeData.keys;
  const encryptionKey = runtimeData["tee-pubkey"];
  const encryptionId = jwkThumbprint(encryptionKey);
  if (encryption.use !== "enc" || signing.use !== "sig")
    throw binding('the runtime data\'s keys are first one of use "enc", then one of use "sig"');
  if (encryption.kid !== encryptionId || jwkThumbprint(encryption) !== encryptionId)
    throw binding("tee-pubkey, the first of the keys and its kid have to be the same key");
  const { kty, crv, x, y } = signing;
  const signingKey = { kty, crv, x, y };
  const signingId = jwkThumbprint(signingKey);
  if (signing.kid !== signingId || signingId === encryptionId)
    throw binding("the signing key has to be a key of its own, under its thumbprint as kid");
  for (const key of [encryptionKey, signingKey]) refusePublishedKey(ecPublicKeyOf(key));
  return { encryptionKey, signingKey };
}

const JOB_REMEDY =
  "ask only for what the job may read, or add the KEK to the policy's grants and apply it";
const OWNER_REMEDY =
  "name a policy that lets you open these data in person, or add the KEK to this one's grants and apply it";
const RESOURCE_REMEDY = "add the KEK of the resource to the policy's grants and apply it";

/**
 * All or nothing: one KEK that is not granted refuses the whole request.
 * @param remedy what whoever asks can do
 */
function requireGranted(keys: readonly WrappedLocalKey[], policy: Policy, remedy: string): void {
  const granted = new Set(policy.grants);
  const missing = [...new Set(keys.map((key) => key.kekId))].filter((kek) => !granted.has(kek));
  if (missing.length > 0)
    throw new PpmlError(
      "release.not_granted",
      `policy ${policy.name} does not grant ${missing.join(", ")}, so nothing is released: ${remedy}`,
      { detail: { policy: policy.name, notGranted: missing } },
    );
  if (new Set(keys.map((key) => key.id)).size !== keys.length)
    throw new PpmlError("format.invalid", "the request lists a local key twice");
}

function binding(why: string): PpmlError {
  return new PpmlError(
    "release.binding",
    `${why}: ask for a new challenge and let the TEE attest this job with its own keys`,
  );
}

function mint(fields: Omit<ReleaseDecision, typeof decisionBrand>): ReleaseDecision {
  return Object.freeze({ ...fields }) as ReleaseDecision;
}
