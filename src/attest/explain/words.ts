/** The standard's word for each claim, by its path in a policy. @see the documents of each kind */
const WORDS: Readonly<Record<string, string>> = {
  // Intel SDM vol. 3D; Intel TDX Module ABI Specification
  mrEnclave: "MRENCLAVE",
  mrSigner: "MRSIGNER",
  isvProdId: "ISVPRODID",
  isvSvn: "ISVSVN",
  configId: "CONFIGID",
  configSvn: "CONFIGSVN",
  isvExtProdId: "ISVEXTPRODID",
  isvFamilyId: "ISVFAMILYID",
  provisionKey: "ATTRIBUTES.PROVISIONKEY",
  mrTd: "MRTD",
  rtmr0: "RTMR0",
  rtmr1: "RTMR1",
  rtmr2: "RTMR2",
  rtmr3: "RTMR3",
  mrConfigId: "MRCONFIGID",
  mrOwner: "MROWNER",
  mrOwnerConfig: "MROWNERCONFIG",
  mrSeam: "MRSEAM",
  mrServiceTd: "MRSERVICETD",
  xfam: "XFAM",
  profiling: "ATTRIBUTES.PROFILING",
  septVeDisable: "ATTRIBUTES.SEPT_VE_DISABLE",
  migratable: "ATTRIBUTES.MIGRATABLE",
  pks: "ATTRIBUTES.PKS",
  keyLocker: "ATTRIBUTES.KL",
  perfmon: "ATTRIBUTES.PERFMON",
  // AMD 56860
  measurement: "MEASUREMENT",
  launchMeasurement: "MEASUREMENT",
  hostData: "HOST_DATA",
  familyId: "FAMILY_ID",
  imageId: "IMAGE_ID",
  idKeyDigest: "ID_KEY_DIGEST",
  authorKeyDigest: "AUTHOR_KEY_DIGEST",
  chipId: "CHIP_ID",
  guestSvn: "GUEST_SVN",
  vmpl: "VMPL",
  migrationAllowed: "POLICY.MIGRATE_MA",
  smtAllowed: "POLICY.SMT",
  singleSocket: "POLICY.SINGLE_SOCKET",
  "reportedTcb.bootloader": "REPORTED_TCB.BOOT_LOADER",
  "reportedTcb.tee": "REPORTED_TCB.TEE",
  "reportedTcb.snp": "REPORTED_TCB.SNP",
  "reportedTcb.microcode": "REPORTED_TCB.MICROCODE",
  fmcSvn: "REPORTED_TCB.FMC",
  committedSnpSvn: "COMMITTED_TCB.SNP",
  revocationChecked: "AMD's CRL looked at",
  // Intel PCS API
  tcbStatus: "TCB status",
  advisoryIds: "advisories",
  fmspc: "FMSPC",
};

/** The standard's word for a claim; the claim's own path where there is none. */
export function wordOf(claim: string, kind: string): string {
  if (claim === "debug") return /sgx|tdx/.test(kind) ? "ATTRIBUTES.DEBUG" : "POLICY.DEBUG";
  if (claim.startsWith("pcrs.")) return `PCR${claim.slice(5)}`;
  return Object.hasOwn(WORDS, claim) ? (WORDS[claim] ?? claim) : claim;
}
