export { certsOf, createMaaAuthority, type MaaAuthority } from "./maa/authority.ts";
export { createMaaDouble, type MaaDoubleOptions, type MaaVerifiers } from "./maa/maa-double.ts";
export { type AttestedClaims, type EvidenceVerifier, simulatedSnpVerifier } from "./maa/snp.ts";
export { DEFAULT_POLICY, policyHashOf } from "./maa/token.ts";
