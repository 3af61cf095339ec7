import { unreachable } from "../../base/index.ts";
import type { TeeProfile } from "../../format/attestation-result.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { MaaAzureVm, MaaEvidence, MaaSnp, MaaTdx } from "../evidence/maa-evidence.ts";
import {
  maaKindOf,
  maaSgxClaims,
  maaSnpClaims,
  maaSnpVmClaims,
  maaTdClaims,
  maaTdVmClaims,
} from "./kinds/maa.ts";
import { sgxClaims } from "./kinds/sgx.ts";
import { snpClaims, snpReportClaims } from "./kinds/snp.ts";
import { tdClaims } from "./kinds/tdx.ts";
import { azSnpVtpmClaims, azTdxVtpmClaims } from "./kinds/vtpm.ts";
import { namesNode } from "./policy.ts";
import type { AppraisalPolicy } from "./policy.ts";
import type { ClaimValue, Rule } from "./rules.ts";

/** Every claim of a policy by its path: the rule, and what the Evidence says. */
export type JudgedClaims = Readonly<Record<string, readonly [Rule, ClaimValue]>>;

/** The kind of policy that judges this Evidence: the value of a policy's `tee`. */
export function kindOf(evidence: Evidence): string {
  return evidence.type === "maa" ? maaKindOf(evidence) : evidence.type;
}

/** The claims of a policy beside those of Evidence; null where it is Evidence of another kind. */
export function claimsOf(policy: AppraisalPolicy, evidence: Evidence): JudgedClaims | null {
  if (policy.tee !== kindOf(evidence)) return null;
  switch (evidence.type) {
    case "sim-snp":
      return policy.tee === "sim-snp" ? snpReportClaims(policy, evidence.report) : null;
    case "snp":
      return policy.tee === "snp" ? snpClaims(policy, evidence) : null;
    case "sgx":
    case "sim-sgx":
      return policy.tee === "sgx" || policy.tee === "sim-sgx" ? sgxClaims(policy, evidence) : null;
    case "tdx":
    case "sim-tdx":
      return policy.tee === "tdx" || policy.tee === "sim-tdx" ? tdClaims(policy, evidence) : null;
    case "az-snp-vtpm":
      return policy.tee === "az-snp-vtpm" ? azSnpVtpmClaims(policy, evidence) : null;
    case "az-tdx-vtpm":
      return policy.tee === "az-tdx-vtpm" ? azTdxVtpmClaims(policy, evidence) : null;
    case "maa":
      return maaClaimsOf(policy, evidence);
    default:
      return unreachable(evidence);
  }
}

function maaClaimsOf(policy: AppraisalPolicy, evidence: MaaEvidence): JudgedClaims | null {
  const { tee } = evidence;
  switch (tee.attestationType) {
    case "sgx":
      return policy.tee === "maa-sgx" ? maaSgxClaims(policy, evidence, tee) : null;
    case "sevsnpvm":
      return policy.tee === "maa-sevsnpvm" ? maaSnpClaims(policy, evidence, tee) : null;
    case "tdxvm":
      return policy.tee === "maa-tdxvm" ? maaTdClaims(policy, evidence, tee) : null;
    case "azurevm": {
      if (policy.tee === "maa-azurevm-snp" && isOnSnp(tee))
        return maaSnpVmClaims(policy, evidence, tee);
      return policy.tee === "maa-azurevm-tdx" && isOnTdx(tee)
        ? maaTdVmClaims(policy, evidence, tee)
        : null;
    }
    default:
      return unreachable(tee);
  }
}

function isOnSnp(vm: MaaAzureVm): vm is MaaAzureVm & { readonly isolationTee: MaaSnp } {
  return vm.isolationTee.attestationType === "sevsnpvm";
}

function isOnTdx(vm: MaaAzureVm): vm is MaaAzureVm & { readonly isolationTee: MaaTdx } {
  return vm.isolationTee.attestationType === "tdxvm";
}

/**
 * What the TEE excludes under a policy: the verifier's word, but that only the policy knows whether
 * an Azure VM is itself the workload or a node of a cluster.
 */
export function profileUnder(policy: AppraisalPolicy, profile: TeeProfile): TeeProfile {
  if ("profile" in policy) return policy.profile;
  return namesNode(policy) ? "snp-node" : profile;
}
