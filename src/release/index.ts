export { checkAttestation, checkNamesPod } from "./check-attestation.ts";
export { codeDigestsOf } from "./check-job.ts";
export { checkPolicy, type PolicyFinding } from "./check-policy.ts";
export {
  type JobRelease,
  type OwnerRelease,
  release,
  type ReleaseDecision,
  requireJobRules,
} from "./decide.ts";
export { releaseKek } from "./decide-kek.ts";
export { explainPolicy } from "./explain-policy.ts";
export { type VerifiedOwnerRequest, verifyOwnerRequest } from "./owner-request.ts";
export {
  issuerOf,
  nextPolicy,
  parsePolicyFile,
  type Policy,
  type PolicyFile,
  policyFileSchema,
  policySchema,
  releasePolicyFor,
} from "./policy.ts";
export { type CertifiedReleaseKey, sealGrant } from "./seal-grant.ts";
export { emitSkrPolicy } from "./skr/emit-skr.ts";
export { evaluateSkr, type SkrOutcome, type SkrResult } from "./skr/evaluate-skr.ts";
export { parseSkrPolicy, type SkrPolicy, skrPolicySchema } from "../format/skr/skr-policy.ts";
