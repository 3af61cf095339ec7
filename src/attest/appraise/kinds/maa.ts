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
import type { ClaimList } from "../rules.ts";

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
  vmpl: numberSchema,
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
  mrTd: identitySchema(48),
  rtmr0: bytesSchema(48),
  rtmr1: bytesSchema(48),
  rtmr2: bytesSchema(48),
  rtmr3: bytesSchema(48),
  mrConfigId: bytesSchema(48),
  mrOwner: bytesSchema(48),
  mrOwnerConfig: bytesSchema(48),
  mrSeam: bytesSchema(48),
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
  .refine(
    ({ mrEnclave, mrSigner, isvProdId, isvSvn }) =>
      mrEnclave !== "any" || [mrSigner, isvProdId, isvSvn].every((rule) => rule !== "any"),
    {
      path: ["mrEnclave"],
      error:
        'the workload\'s identity is never "any": name mrEnclave, or mrSigner with isvProdId and isvSvn',
    },
  );
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

/** The rules of a policy beside what a token says of an enclave. */
export function maaSgxClaims(
  policy: SgxPolicy,
  evidence: MaaEvidence,
  tee: MaaSgx,
): ClaimList<SgxPolicy> {
  return {
    ...tokenClaims(policy, evidence),
    mrEnclave: [policy.mrEnclave, toHex(tee.mrEnclave)],
    mrSigner: [policy.mrSigner, toHex(tee.mrSigner)],
    isvProdId: [policy.isvProdId, tee.productId],
    isvSvn: [policy.isvSvn, tee.svn],
    configId: [policy.configId, tee.configId === null ? null : toHex(tee.configId)],
    configSvn: [policy.configSvn, tee.configSvn],
    debug: [policy.debug, tee.debuggable],
  };
}

/** The rules of a policy beside what a token says of an SEV-SNP guest. */
export function maaSnpClaims(
  policy: Omit<SnpPolicy, "tee">,
  evidence: MaaEvidence,
  tee: MaaSnp,
): ClaimList<SnpPolicy> {
  const { tcb } = tee;
  return {
    ...tokenClaims(policy, evidence),
    launchMeasurement: [policy.launchMeasurement, toHex(tee.launchMeasurement)],
    hostData: [policy.hostData, toHex(tee.hostData)],
    familyId: [policy.familyId, toHex(tee.familyId)],
    imageId: [policy.imageId, toHex(tee.imageId)],
    idKeyDigest: [policy.idKeyDigest, toHex(tee.idKeyDigest)],
    authorKeyDigest: [policy.authorKeyDigest, toHex(tee.authorKeyDigest)],
    guestSvn: [policy.guestSvn, tee.guestSvn],
    vmpl: [policy.vmpl, tee.vmpl],
    debug: [policy.debug, tee.debuggable],
    migrationAllowed: [policy.migrationAllowed, tee.migrationAllowed],
    smtAllowed: [policy.smtAllowed, tee.smtAllowed],
    complianceStatus: [policy.complianceStatus, tee.complianceStatus],
    "reportedTcb.bootloader": [policy.reportedTcb.bootloader, tcb.bootloader],
    "reportedTcb.tee": [policy.reportedTcb.tee, tcb.tee],
    "reportedTcb.snp": [policy.reportedTcb.snp, tcb.snp],
    "reportedTcb.microcode": [policy.reportedTcb.microcode, tcb.microcode],
  };
}

/** The rules of a policy beside what a token says of a TD. */
export function maaTdClaims(
  policy: Omit<TdPolicy, "tee">,
  evidence: MaaEvidence,
  tee: MaaTdx,
): ClaimList<TdPolicy> {
  const attributes = parseTdAttributes(tee.tdAttributes);
  const [rtmr0, rtmr1, rtmr2, rtmr3] = tee.rtmr;
  return {
    ...tokenClaims(policy, evidence),
    mrTd: [policy.mrTd, toHex(tee.mrTd)],
    rtmr0: [policy.rtmr0, toHex(rtmr0)],
    rtmr1: [policy.rtmr1, toHex(rtmr1)],
    rtmr2: [policy.rtmr2, toHex(rtmr2)],
    rtmr3: [policy.rtmr3, toHex(rtmr3)],
    mrConfigId: [policy.mrConfigId, toHex(tee.mrConfigId)],
    mrOwner: [policy.mrOwner, toHex(tee.mrOwner)],
    mrOwnerConfig: [policy.mrOwnerConfig, toHex(tee.mrOwnerConfig)],
    mrSeam: [policy.mrSeam, toHex(tee.mrSeam)],
    debug: [policy.debug, tee.debuggable || attributes.debug],
    septVeDisable: [policy.septVeDisable, attributes.septVeDisable],
    migratable: [policy.migratable, attributes.migratable],
    tcbStatus: [policy.tcbStatus, tee.tcbStatus],
    complianceStatus: [policy.complianceStatus, tee.complianceStatus],
  };
}

/** The rules of a policy beside what a guest token says of a VM on SEV-SNP. */
export function maaSnpVmClaims(
  policy: SnpVmPolicy,
  evidence: MaaEvidence,
  vm: MaaAzureVm & { readonly isolationTee: MaaSnp },
): ClaimList<SnpVmPolicy> {
  return { ...maaSnpClaims(policy, evidence, vm.isolationTee), ...vmClaims(policy, vm) };
}

/** The rules of a policy beside what a guest token says of a VM on TDX. */
export function maaTdVmClaims(
  policy: TdVmPolicy,
  evidence: MaaEvidence,
  vm: MaaAzureVm & { readonly isolationTee: MaaTdx },
): ClaimList<TdVmPolicy> {
  return { ...maaTdClaims(policy, evidence, vm.isolationTee), ...vmClaims(policy, vm) };
}

const tokenPolicySchema = z.strictObject(tokenShape);
type TokenPolicy = z.infer<typeof tokenPolicySchema>;

function tokenClaims(policy: TokenPolicy, evidence: MaaEvidence): ClaimList<TokenPolicy> {
  return {
    issuer: [policy.issuer, evidence.issuer],
    policyHash: [policy.policyHash, evidence.policyHash],
  };
}

const vmPolicySchema = z.strictObject(vmShape);
type VmPolicy = z.infer<typeof vmPolicySchema>;

function vmClaims(policy: VmPolicy, vm: MaaAzureVm): ClaimList<VmPolicy> {
  return {
    secureBoot: [policy.secureBoot, vm.secureBoot],
    vmId: [policy.vmId, vm.vmId],
    osType: [policy.osType, vm.osType],
  };
}
