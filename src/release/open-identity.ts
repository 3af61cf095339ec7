import { unreachable } from "../base/index.ts";
import { WORKLOAD_PCRS } from "../attest/appraise/kinds/vtpm.ts";
import type { AppraisalPolicy } from "../attest/appraise/policy.ts";
import type { Rule } from "../attest/appraise/rules.ts";

/**
 * The claims, by their paths, of which at least one has to tell the workload, where a policy leaves
 * them all open: by "any", by a minimum, or by zeros, which a register has that nobody wrote. Null where one does.
 */
export function openIdentity(appraisal: AppraisalPolicy): readonly string[] | null {
  const named = identityOf(appraisal);
  if (named.length === 0) return null;
  // Values of one reference set count together, so each set needs one that tells a workload.
  const everySetNames = appraisal.references.every(({ values }) =>
    named.some(([claim, rule]) => rule === "reference" && !isZero(values[claim])),
  );
  const isReferred = named.some(([, rule]) => rule === "reference") && everySetNames;
  const isNamed = isReferred || named.some(([, rule]) => tells(rule));
  return isNamed ? null : named.map(([claim]) => claim);
}

/**
 * Whether a VM is named by PCR 4 alone: where shim and a boot loader start it, their digests are the
 * same for every VM of the distribution. @see UAPI Group, "Linux TPM PCR Registry"
 */
export function namesBootLoaderOnly(appraisal: AppraisalPolicy): boolean {
  const named = identityOf(appraisal).filter(([, rule]) => rule === "reference" || tells(rule));
  return named.length === 1 && named[0]?.[0] === "pcrs.4";
}

/** Empty where the policy's own schema demands an identity, or its Evidence is a node's. */
function identityOf(appraisal: AppraisalPolicy): readonly (readonly [string, Rule])[] {
  switch (appraisal.tee) {
    // A utility VM's measurement is the same for every customer; that of a VM's own image is not.
    case "snp": {
      const { uvmIssuer, uvmFeed, uvmSvn, hostData } = appraisal;
      const isOwnImage =
        hostData !== "any" && [uvmIssuer, uvmFeed, uvmSvn].every((rule) => rule === "any");
      return isOwnImage ? [] : [["hostData", hostData]];
    }
    case "maa-sevsnpvm":
      return [["hostData", appraisal.hostData]];
    // MRTD is the firmware's.
    case "tdx":
    case "maa-tdxvm": {
      const { rtmr1, rtmr2, rtmr3, mrConfigId } = appraisal;
      return Object.entries({ rtmr1, rtmr2, rtmr3, mrConfigId });
    }
    case "az-snp-vtpm":
      return appraisal.profile === "snp-node" ? [] : workloadPcrs(appraisal.pcrs);
    case "az-tdx-vtpm":
      return workloadPcrs(appraisal.pcrs);
    // A signer's products are told apart by equal ids; a minimum accepts most of them.
    case "sgx":
    case "maa-sgx": {
      const { mrEnclave, isvProdId } = appraisal;
      return mrEnclave === "any" ? [["isvProdId", isvProdId]] : [];
    }
    case "sim-sgx":
    case "sim-snp":
    case "sim-tdx":
    case "maa-azurevm-snp":
    case "maa-azurevm-tdx":
      return [];
    default:
      return unreachable(appraisal);
  }
}

function workloadPcrs(pcrs: Readonly<Record<string, Rule>>): (readonly [string, Rule])[] {
  return WORKLOAD_PCRS.map((index) => [`pcrs.${index}`, pcrs[index] ?? "any"]);
}

/** Whether each value that the rule accepts is one that something was measured into. */
function tells(rule: Rule): boolean {
  if (typeof rule === "string" || "atLeast" in rule || "only" in rule) return false;
  return "equals" in rule ? !isZero(rule.equals) : !rule.oneOf.some(isZero);
}

function isZero(value: unknown): boolean {
  return typeof value !== "number" && (typeof value !== "string" || /^0*$/.test(value));
}
