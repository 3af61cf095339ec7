import { z } from "zod";
import { toHex } from "../../../base/index.ts";
import type {
  MaaAzureVm,
  MaaEvidence,
  MaaSgx,
  MaaSnp,
  MaaTdx,
} from "../../evidence/maa-evidence.ts";
import { parseTdAttributes } from "../../evidence/td-attributes.ts";
import {
  anySchema,
  bytesSchema,
  flagSchema,
  identitySchema,
  numberSchema,
  referencesSchema,
  textRuleSchema,
} from "../rules.ts";
import type { ClaimValues } from "../rules.ts";
import { namesEnclave, NO_ENCLAVE_NAMED } from "./sgx.ts";
import { vmplSchema } from "./snp.ts";
import { tdRegisterShape } from "./tdx.ts";

const textOrAny = z.union([textRuleSchema, anySchema]);

/** What every policy for a token says of who made it. Only claims that are not deprecated are read. */
const tokenShape = {
  references: referencesSchema,
  /** The provider's URL. */
  issuer: textRuleSchema,
  /** base64url SHA-256 of the provider's policy; "any" for Azure's shared providers only. */
  policyHash: textOrAny,
};

const snpShape = {
  launchMeasurement: identitySchema(48),
  hostData: bytesSchema(32),
  familyId: bytesSchema(16),
  imageId: bytesSchema(16),
  idKeyDigest: bytesSchema(48),
  authorKeyDigest: bytesSchema(48),
  guestSvn: numberSchema,
  vmpl: vmplSchema,
  debug: flagSchema,
  migrationAllowed: flagSchema,
  smtAllowed: flagSchema,
  complianceStatus: textOrAny,
  reportedTcb: z.strictObject({
    bootloader: numberSchema,
    tee: numberSchema,
    snp: numberSchema,
    microcode: numberSchema,
  }),
};

const tdShape = {
  ...tdRegisterShape,
  debug: flagSchema,
  septVeDisable: flagSchema,
  migratable: flagSchema,
  tcbStatus: textOrAny,
  complianceStatus: textOrAny,
};

const vmShape = {
  secureBoot: flagSchema,
  vmId: textOrAny,
  osType: textOrAny,
};

/** Policy for tokens over an SGX enclave. */
export const maaSgxPolicySchema = z
  .strictObject({
    tee: z.literal("maa-sgx"),
    ...tokenShape,
    mrEnclave: bytesSchema(32),
    mrSigner: bytesSchema(32),
    isvProdId: numberSchema,
    isvSvn: numberSchema,
    configId: bytesSchema(64),
    configSvn: numberSchema,
    debug: flagSchema,
  })
  .refine(namesEnclave, NO_ENCLAVE_NAMED);
/** Policy for tokens over a confidential container on SEV-SNP. */
export const maaSnpPolicySchema = z.strictObject({
  tee: z.literal("maa-sevsnpvm"),
  ...tokenShape,
  ...snpShape,
});
/** Policy for tokens over a TD. */
export const maaTdPolicySchema = z.strictObject({
  tee: z.literal("maa-tdxvm"),
  ...tokenShape,
  ...tdShape,
});
/** Policies for guest tokens of Azure VMs, which name a node, never what runs on it. */
export const maaSnpVmPolicySchema = z.strictObject({
  tee: z.literal("maa-azurevm-snp"),
  ...tokenShape,
  ...snpShape,
  ...vmShape,
});
export const maaTdVmPolicySchema = z.strictObject({
  tee: z.literal("maa-azurevm-tdx"),
  ...tokenShape,
  ...tdShape,
  ...vmShape,
});

type SgxPolicy = z.infer<typeof maaSgxPolicySchema>;
type SnpPolicy = z.infer<typeof maaSnpPolicySchema>;
type TdPolicy = z.infer<typeof maaTdPolicySchema>;
type SnpVmPolicy = z.infer<typeof maaSnpVmPolicySchema>;
type TdVmPolicy = z.infer<typeof maaTdVmPolicySchema>;

/** The kind of policy that a token is judged by. */
export function maaKindOf(evidence: MaaEvidence): string {
  const { tee } = evidence;
  if (tee.attestationType !== "azurevm") return `maa-${tee.attestationType}`;
  return tee.isolationTee.attestationType === "sevsnpvm" ? "maa-azurevm-snp" : "maa-azurevm-tdx";
}

/** What a token says of an enclave, by claim. */
export function maaSgxValues(evidence: MaaEvidence, tee: MaaSgx): ClaimValues<SgxPolicy> {
  return {
    ...tokenValues(evidence),
    mrEnclave: toHex(tee.mrEnclave),
    mrSigner: toHex(tee.mrSigner),
    isvProdId: tee.productId,
    isvSvn: tee.svn,
    configId: tee.configId === null ? null : toHex(tee.configId),
    configSvn: tee.configSvn,
    debug: tee.debuggable,
  };
}

/** What a token says of an SEV-SNP guest. */
export function maaSnpValues(evidence: MaaEvidence, tee: MaaSnp): ClaimValues<SnpPolicy> {
  const { tcb } = tee;
  return {
    ...tokenValues(evidence),
    launchMeasurement: toHex(tee.launchMeasurement),
    hostData: toHex(tee.hostData),
    familyId: toHex(tee.familyId),
    imageId: toHex(tee.imageId),
    idKeyDigest: toHex(tee.idKeyDigest),
    authorKeyDigest: toHex(tee.authorKeyDigest),
    guestSvn: tee.guestSvn,
    vmpl: tee.vmpl,
    debug: tee.debuggable,
    migrationAllowed: tee.migrationAllowed,
    smtAllowed: tee.smtAllowed,
    complianceStatus: tee.complianceStatus,
    "reportedTcb.bootloader": tcb.bootloader,
    "reportedTcb.tee": tcb.tee,
    "reportedTcb.snp": tcb.snp,
    "reportedTcb.microcode": tcb.microcode,
  };
}

/** What a token says of a TD. */
export function maaTdValues(evidence: MaaEvidence, tee: MaaTdx): ClaimValues<TdPolicy> {
  const attributes = parseTdAttributes(tee.tdAttributes);
  const [rtmr0, rtmr1, rtmr2, rtmr3] = tee.rtmr;
  return {
    ...tokenValues(evidence),
    mrTd: toHex(tee.mrTd),
    rtmr0: toHex(rtmr0),
    rtmr1: toHex(rtmr1),
    rtmr2: toHex(rtmr2),
    rtmr3: toHex(rtmr3),
    mrConfigId: toHex(tee.mrConfigId),
    mrOwner: toHex(tee.mrOwner),
    mrOwnerConfig: toHex(tee.mrOwnerConfig),
    mrSeam: toHex(tee.mrSeam),
    // Bits 7:0 all put a TD under debug; what a quote says in two claims a token says in one.
    debug: tee.debuggable || attributes.debug || attributes.profiling,
    septVeDisable: attributes.septVeDisable,
    migratable: attributes.migratable,
    tcbStatus: tee.tcbStatus,
    complianceStatus: tee.complianceStatus,
  };
}

/** What a guest token says of a VM on SEV-SNP. */
export function maaSnpVmValues(
  evidence: MaaEvidence,
  vm: MaaAzureVm & { readonly isolationTee: MaaSnp },
): ClaimValues<SnpVmPolicy> {
  const values = maaSnpValues(evidence, vm.isolationTee);
  return { ...values, ...vmValues(vm), debug: values.debug === true || isDebugged(vm) };
}

/** What a guest token says of a VM on TDX. */
export function maaTdVmValues(
  evidence: MaaEvidence,
  vm: MaaAzureVm & { readonly isolationTee: MaaTdx },
): ClaimValues<TdVmPolicy> {
  const values = maaTdValues(evidence, vm.isolationTee);
  return { ...values, ...vmValues(vm), debug: values.debug === true || isDebugged(vm) };
}

/** Whether the guest of a TEE that cannot be debugged can: its loader, kernel or hypervisor. */
function isDebugged({ bootDebug, kernelDebug, hypervisorDebug }: MaaAzureVm): boolean {
  return [bootDebug, kernelDebug, hypervisorDebug].includes(true);
}

const tokenPolicySchema = z.strictObject(tokenShape);
type TokenPolicy = z.infer<typeof tokenPolicySchema>;

function tokenValues(evidence: MaaEvidence): ClaimValues<TokenPolicy> {
  return {
    issuer: evidence.issuer,
    policyHash: evidence.policyHash,
  };
}

const vmPolicySchema = z.strictObject(vmShape);
type VmPolicy = z.infer<typeof vmPolicySchema>;

function vmValues(vm: MaaAzureVm): ClaimValues<VmPolicy> {
  return {
    secureBoot: vm.secureBoot,
    vmId: vm.vmId,
    osType: vm.osType,
  };
}
