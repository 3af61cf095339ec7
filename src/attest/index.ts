export { appraise, type AttestationResult } from "./appraise/appraise.ts";
export { maaClaims, type MaaClaims } from "./appraise/claims.ts";
export {
  appraisalPolicySchema,
  type AppraisalPolicy,
  simulationPolicy,
} from "./appraise/policy.ts";
export type { Evidence, HardwareEvidence, SimSnpEvidence } from "./evidence/evidence.ts";
export { explainResult } from "./explain/explain.ts";
export type { Verified } from "./verify/verified.ts";
export { verifyEvidence, type VerifyOptions } from "./verify/verify.ts";
