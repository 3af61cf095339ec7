import { PpmlError, unreachable } from "../../base/index.ts";
import type { TeeProfile } from "../../format/attestation-result.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { MaaAzureVm, MaaEvidence } from "../evidence/maa-evidence.ts";
import {
  maaKindOf,
  maaSgxValues,
  maaSnpValues,
  maaSnpVmValues,
  maaTdValues,
  maaTdVmValues,
} from "./kinds/maa.ts";
import { sgxValues } from "./kinds/sgx.ts";
import { snpReportValues, snpValues } from "./kinds/snp.ts";
import { tdValues } from "./kinds/tdx.ts";
import { azSnpVtpmValues, azTdxVtpmValues } from "./kinds/vtpm.ts";
import { listRules, namesNode } from "./policy.ts";
import type { AppraisalPolicy } from "./policy.ts";
import type { ClaimValue, Rule } from "./rules.ts";

/** Every claim of a policy by its path: the rule, and what the Evidence says. */
export type JudgedClaims = Readonly<Record<string, readonly [Rule, ClaimValue]>>;

/** The kind of policy that judges this Evidence: the value of a policy's `tee`. */
export function kindOf(evidence: Evidence): string {
  return evidence.type === "maa" ? maaKindOf(evidence) : evidence.type;
}

/** What Evidence says of every claim that a policy of its kind names, by the claim's path. */
export function valuesOf(evidence: Evidence): Readonly<Record<string, ClaimValue>> {
  switch (evidence.type) {
    case "sim-snp":
      return snpReportValues(evidence.report);
    case "snp":
      return snpValues(evidence);
    case "sgx":
    case "sim-sgx":
      return sgxValues(evidence);
    case "tdx":
    case "sim-tdx":
      return tdValues(evidence);
    case "az-snp-vtpm":
      return azSnpVtpmValues(evidence);
    case "az-tdx-vtpm":
      return azTdxVtpmValues(evidence);
    case "maa":
      return maaValues(evidence);
    default:
      return unreachable(evidence);
  }
}

function maaValues(evidence: MaaEvidence): Readonly<Record<string, ClaimValue>> {
  const { tee } = evidence;
  switch (tee.attestationType) {
    case "sgx":
      return maaSgxValues(evidence, tee);
    case "sevsnpvm":
      return maaSnpValues(evidence, tee);
    case "tdxvm":
      return maaTdValues(evidence, tee);
    case "azurevm":
      return vmValues(evidence, tee);
    default:
      return unreachable(tee);
  }
}

function vmValues(evidence: MaaEvidence, vm: MaaAzureVm): Readonly<Record<string, ClaimValue>> {
  const { isolationTee } = vm;
  return isolationTee.attestationType === "sevsnpvm"
    ? maaSnpVmValues(evidence, { ...vm, isolationTee })
    : maaTdVmValues(evidence, { ...vm, isolationTee });
}

/** The claims of a policy beside those of Evidence; null where it is Evidence of another kind. */
export function claimsOf(policy: AppraisalPolicy, evidence: Evidence): JudgedClaims | null {
  if (policy.tee !== kindOf(evidence)) return null;
  const values = valuesOf(evidence);
  return Object.fromEntries(
    listRules(policy).map(([claim, rule]) => {
      const value = Object.hasOwn(values, claim) ? values[claim] : undefined;
      if (value === undefined)
        throw new PpmlError("base.internal", `nothing reads the claim ${claim} of ${policy.tee}`);
      return [claim, [rule, value]] as const;
    }),
  );
}

/**
 * What the TEE excludes under a policy: the verifier's word, but that only the policy knows whether
 * an Azure VM is itself the workload or a node of a cluster.
 */
export function profileUnder(policy: AppraisalPolicy, profile: TeeProfile): TeeProfile {
  if ("profile" in policy) return policy.profile;
  return namesNode(policy) ? "snp-node" : profile;
}
