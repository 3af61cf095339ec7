export { appraise, type AttestationResult } from "./appraise/appraise.ts";
export { maaClaims, type MaaClaims } from "./appraise/claims.ts";
export {
  appraisalPolicySchema,
  type AppraisalPolicy,
  simulationPolicy,
} from "./appraise/policy.ts";
export type { Attester } from "./collect/attester.ts";
export { openSimChannelAttester, type SimChannelAttester } from "./collect/sim-channel.ts";
export type { Evidence, HardwareEvidence, SimSnpEvidence } from "./evidence/evidence.ts";
export { explainResult } from "./explain/explain.ts";
export {
  createSimulationPki,
  exportRootPem,
  loadSimulationPki,
  parseRootPem,
  saveSimulationPki,
  type SimulationPki,
} from "./sim/pki.ts";
export { openSimulatedPlatform, type SimulatedPlatform } from "./sim/platform.ts";
export { SIMULATION_MARK, verifySimulatedEvidence } from "./sim/verify-sim.ts";
export type { Verified } from "./verify/verified.ts";
export { verifyEvidence, type VerifyOptions } from "./verify/verify.ts";
