export { appraise, type AttestationResult } from "./appraise/appraise.ts";
export { maaClaims, type MaaClaims } from "./appraise/claims.ts";
export {
  appraisalPolicySchema,
  type AppraisalPolicy,
  claimNames,
  isReferenceValue,
  simulationPolicy,
  VALUE_FORM,
} from "./appraise/policy.ts";
export type { Attester } from "./collect/attester.ts";
export { type DetectedTee, detectTee, type MachineListing, type Probed } from "./collect/detect.ts";
export { deviceFiles } from "./collect/device-io.ts";
export { perlIoctl } from "./collect/ioctl.ts";
export { type AttesterPorts, openAttester } from "./collect/open-attester.ts";
export { kindOfMissing, MACHINE_PATHS, probeMachine } from "./collect/probe.ts";
export { createRaTlsIdentity, type RaTlsIdentity } from "./collect/ra-tls-certificate.ts";
export { openSimChannelAttester, type SimChannelAttester } from "./collect/sim-channel.ts";
export { createMaaJwksSource, loadMaaJwksFile, type MaaJwksSource } from "./collateral/maa-jwks.ts";
export {
  type Ear,
  type EarAppraisal,
  earTeePubkey,
  IETF_EAR_PROFILES,
  TRUSTEE_PROFILE,
  VERAISON_PROFILE,
} from "./ear/ear.ts";
export { type CpuAppraisal, type EarSigner, issueEar } from "./ear/issue-ear.ts";
export { tierOf, type TrustTier, type TrustVector } from "./ear/tiers.ts";
export { contraindicatedClaim, earClaims } from "./ear/ear-claims.ts";
export {
  EAR_ALGORITHMS,
  type EarAlgorithm,
  type EarKey,
  type VerifiedEar,
  verifyEar,
} from "./ear/verify-ear.ts";
export {
  type DcapCollateral,
  encodeQuoteCollateralV3,
  parseQuoteCollateralV3,
  type QuoteCollateralV3,
} from "./collateral/dcap-collateral.ts";
export { type DcapQuote, parseDcapQuote } from "./evidence/dcap-quote.ts";
export type { Evidence, HardwareEvidence, SimSnpEvidence } from "./evidence/evidence.ts";
export type { MaaEvidence, MaaTee } from "./evidence/maa-evidence.ts";
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
export { verifySimulatedDcapEvidence } from "./sim/verify-sim-dcap.ts";
export { verifySimulatedMaaToken } from "./sim/verify-sim-maa.ts";
export { createDcapCache, type DcapCache } from "./verify/dcap/cache.ts";
export type { DcapVerification } from "./verify/dcap/verification.ts";
export { verifyDcapEvidence, verifyDcapQuote } from "./verify/dcap/verify-dcap.ts";
export type { VerifiedQuote, VerifyQuoteOptions } from "./verify/dcap/verify-quote.ts";
export type { MaaRuntimeData } from "./verify/maa-binding.ts";
export { MAA_CLOCK_SKEW_SECONDS, type MaaDemands } from "./verify/maa-check.ts";
export { type MaaJwks, parseMaaJwks } from "./verify/maa-jwks.ts";
export { isSharedProvider, maaPinShape, type MaaProvider } from "./verify/maa-providers.ts";
export { verifyMaaToken } from "./verify/maa-token.ts";
export { type ReleasedKey, verifySkrAnswer } from "./verify/skr-answer.ts";
export type { Verified } from "./verify/verified.ts";
export { verifyEvidence, type VerifyOptions } from "./verify/verify.ts";

export { baselineRefusal, type BaselineRefusal } from "./appraise/baseline.ts";
export { boundData, expectedBinding } from "./appraise/binding.ts";
export { kindOf, valuesOf } from "./appraise/claims-of.ts";
export {
  changeReferences,
  referenceFileOf,
  type ReferenceValues,
  referenceValuesSchema,
  withReferences,
} from "./appraise/reference-values.ts";
export type { ClaimValue, ReferenceSet } from "./appraise/rules.ts";
export { AMD_KDS } from "./collateral/amd-kds.ts";
export { withAmdAuthorities } from "./collateral/amd-certificates.ts";
export { type CollateralCache, openCollateralCache } from "./collateral/cache.ts";
export { type CollateralSources, completeEvidence } from "./collateral/complete-evidence.ts";
export { COLLATERAL_MAX_AGE_MS } from "./collateral/fetch-part.ts";
export { type HttpPorts, systemHttp } from "./collateral/http.ts";
export { AZURE_PCS, INTEL_PCS, pccsService, type PcsService } from "./collateral/intel-pcs.ts";
export { loadCollateral } from "./collateral/load-collateral.ts";
export { serviceUrl } from "./collateral/service-url.ts";
export { detectEvidence } from "./evidence/detect.ts";
export type { DetectedEvidence } from "./evidence/detected.ts";
export { type RaTlsEvidence, readRaTlsCertificate } from "./evidence/ra-tls.ts";
export { parseUniqueJson } from "./token/unique-json.ts";
export { remedyOfCode } from "./explain/remedies.ts";
export { wordOf } from "./explain/words.ts";
export { peekMaaToken } from "./verify/maa-check.ts";
export { chainOf, type ChainLink } from "./explain/chain.ts";
export { type ClaimDifference, diffEvidence } from "./explain/diff.ts";
export { explainEvidence } from "./explain/explain-evidence.ts";
export { peekClaims } from "./explain/peek-claims.ts";
export { type EvidenceReport, reportOn, reportRefusal } from "./explain/report.ts";
