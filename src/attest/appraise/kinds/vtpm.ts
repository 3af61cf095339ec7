import { z } from "zod";
import { toHex } from "../../../base/index.ts";
import type {
  AzSnpVtpmEvidence,
  AzTdxVtpmEvidence,
  VtpmVerification,
} from "../../evidence/azure-vtpm-evidence.ts";
import type { TdxEvidence } from "../../evidence/dcap-evidence.ts";
import { bytesSchema, flagSchema } from "../rules.ts";
import type { ClaimValues } from "../rules.ts";
import { snpHardwareValues, snpHardwareShape, snpReportValues, snpReportShape } from "./snp.ts";
import { tdValues, tdShape } from "./tdx.ts";

/** PCRs by what Linux and its loaders measure there. @see UAPI Group, "Linux TPM PCR Registry" */
const pcrsSchema = z.strictObject({
  /** Firmware and its configuration, loaders, partition table, secure boot. */
  "0": bytesSchema(32),
  "1": bytesSchema(32),
  "2": bytesSchema(32),
  "3": bytesSchema(32),
  "4": bytesSchema(32),
  "5": bytesSchema(32),
  "7": bytesSchema(32),
  /** Command line and files of the boot loader. */
  "8": bytesSchema(32),
  "9": bytesSchema(32),
  /** IMA. */
  "10": bytesSchema(32),
  /** Unified kernel image and its parameters. */
  "11": bytesSchema(32),
  "12": bytesSchema(32),
  "13": bytesSchema(32),
  /** Owners of the image. */
  "14": bytesSchema(32),
});

const vtpmShape = {
  /**
   * What the Evidence stands for: a VM that is itself the workload (its PCRs name it), or a node of
   * a cluster, whose pods the Evidence cannot name.
   */
  secureBoot: flagSchema,
  /** The VM's console can be reached by the host's operator. */
  consoleEnabled: flagSchema,
  pcrs: pcrsSchema,
};

/** PCRs that name a boot loader, a kernel or its command line: one of them tells a VM's workload. */
export const WORKLOAD_PCRS = ["4", "8", "9", "11", "12"] as const;

/** Policy for Azure confidential VMs on SEV-SNP, by their vTPM. */
export const azSnpVtpmPolicySchema = z
  .strictObject({
    tee: z.literal("az-snp-vtpm"),
    profile: z.enum(["snp", "snp-node"]),
    ...snpReportShape,
    ...snpHardwareShape,
    ...vtpmShape,
  })
  .refine(({ profile, pcrs }) => profile === "snp-node" || namesWorkload(pcrs), {
    path: ["pcrs"],
    error: `the profile snp promises that the workload is named: give a rule for one of the PCRs ${WORKLOAD_PCRS.join(", ")}, or say that the Evidence is a node's (snp-node)`,
  });
type AzSnpVtpmPolicy = z.infer<typeof azSnpVtpmPolicySchema>;

/** Policy for Azure confidential VMs on TDX, by their vTPM. */
export const azTdxVtpmPolicySchema = z
  .strictObject({ tee: z.literal("az-tdx-vtpm"), ...tdShape, ...vtpmShape })
  .refine(({ pcrs }) => namesWorkload(pcrs), {
    path: ["pcrs"],
    error: `the workload has to be named: give a rule for one of the PCRs ${WORKLOAD_PCRS.join(", ")}`,
  });
type AzTdxVtpmPolicy = z.infer<typeof azTdxVtpmPolicySchema>;

function namesWorkload(pcrs: z.infer<typeof pcrsSchema>): boolean {
  return WORKLOAD_PCRS.some((index) => pcrs[index] !== "any");
}

const vtpmPolicySchema = z.strictObject(vtpmShape);
type VtpmPolicy = z.infer<typeof vtpmPolicySchema>;

/** What a vTPM on SEV-SNP says, by claim. */
export function azSnpVtpmValues(evidence: AzSnpVtpmEvidence): ClaimValues<AzSnpVtpmPolicy> {
  return {
    ...snpReportValues(evidence.report, evidence.snp.tcb.reported),
    ...snpHardwareValues(evidence.snp),
    ...vtpmValues(evidence.vtpm),
  };
}

/** What a vTPM on TDX says, by claim. */
export function azTdxVtpmValues(
  evidence: AzTdxVtpmEvidence<TdxEvidence>,
): ClaimValues<AzTdxVtpmPolicy> {
  return {
    ...tdValues(evidence.tdQuote.evidence),
    ...vtpmValues(evidence.vtpm),
  };
}

function vtpmValues(vtpm: VtpmVerification): ClaimValues<VtpmPolicy> {
  const { vmConfiguration, pcrs } = vtpm;
  const pcr = (index: keyof VtpmPolicy["pcrs"]) => {
    const value = pcrs.get(Number(index));
    return value === undefined ? null : toHex(value);
  };
  return {
    secureBoot: vmConfiguration["secure-boot"],
    consoleEnabled: vmConfiguration["console-enabled"],
    "pcrs.0": pcr("0"),
    "pcrs.1": pcr("1"),
    "pcrs.2": pcr("2"),
    "pcrs.3": pcr("3"),
    "pcrs.4": pcr("4"),
    "pcrs.5": pcr("5"),
    "pcrs.7": pcr("7"),
    "pcrs.8": pcr("8"),
    "pcrs.9": pcr("9"),
    "pcrs.10": pcr("10"),
    "pcrs.11": pcr("11"),
    "pcrs.12": pcr("12"),
    "pcrs.13": pcr("13"),
    "pcrs.14": pcr("14"),
  };
}
