const TCB =
  "Update the platform's firmware or microcode, or lower the minimum in the policy's reportedTcb if its advisories do not concern you.";

function pcr(what: string): string {
  return `Another ${what} was measured into the vTPM than the policy accepts, or the quote does not cover this PCR: boot that image, or add the value only if you trust it.`;
}

function rtmr(what: string): string {
  return `Another ${what} was measured into the TD than the policy accepts: boot that image, or add the value only if you trust it.`;
}

const PCRS = {
  "pcrs.0": pcr("firmware"),
  "pcrs.1": pcr("firmware configuration"),
  "pcrs.2": pcr("option ROM"),
  "pcrs.3": pcr("option ROM configuration"),
  "pcrs.4": pcr("boot loader"),
  "pcrs.5": pcr("partition table"),
  "pcrs.7": pcr("Secure Boot state"),
  "pcrs.8": pcr("boot loader's command line"),
  "pcrs.9": pcr("kernel or initrd"),
  "pcrs.10": pcr("IMA log"),
  "pcrs.11": pcr("unified kernel image"),
  "pcrs.12": pcr("kernel parameter"),
  "pcrs.13": pcr("system extension"),
  "pcrs.14": pcr("MOK state"),
} as const;

/** What to do where a claim is not met, by the claim's path in the policy. */
export const REMEDIES = {
  tee: "Run it in the kind of TEE that the policy names, or apply a policy for this kind.",
  reportData:
    "The Evidence was made for another nonce, job or key: ask for a new challenge and let the TEE attest again.",
  measurement:
    "Other code, configuration or Node runs there than the policy accepts: compare with `ppml enclave measure`, and add the value to the policy only if you trust that code.",
  hostData: "Start the TEE with the host data that the policy names, or correct hostData.",
  familyId: "The guest's ID block names another family: correct the image's ID block or familyId.",
  imageId: "The guest's ID block names another image: correct the image's ID block or imageId.",
  idKeyDigest:
    "Another key signed the guest's ID block: sign it with the key that the policy names.",
  authorKeyDigest:
    "Another author key stands behind the guest's ID block: use the one that the policy names.",
  chipId:
    "Another machine answered: run the job on a machine that the policy lists, or add its chipId.",
  guestSvn: "The guest image is older than the policy accepts: deploy a newer image.",
  vmpl: "The report was asked for at another privilege level: let the launcher run at the VMPL that the policy names.",
  debug: "The host can read a guest that allows debugging: start it with a policy without DEBUG.",
  migrationAllowed:
    "A migration agent could take the guest elsewhere: start it with a policy without MIGRATE_MA.",
  smtAllowed:
    "Start the guest with a policy that treats SMT as the appraisal policy demands, or correct smtAllowed.",
  singleSocket:
    "Start the guest with a policy that treats SINGLE_SOCKET as the appraisal policy demands, or correct singleSocket.",
  // SEV-SNP hardware and utility VMs
  product: "Run the guest on a processor that the policy names, or add this product to it.",
  signingKey:
    "The report is signed by another kind of key (VCEK or VLEK) than the policy accepts: send the other certificate, or accept both.",
  fmcSvn: TCB,
  revocationChecked:
    'AMD\'s revocation list did not come with the Evidence: send it (crl of the collateral) or let it be fetched (--fetch), or accept either with revocationChecked "any".',
  committedSnpSvn:
    "The firmware can still be rolled back below the policy's minimum: commit the new firmware on the host, or lower committedSnpSvn.",
  uvmIssuer:
    "Nobody whom the policy names endorses the utility VM: send its endorsement (uvm), or correct uvmIssuer.",
  uvmFeed: "The utility VM is of another product line than the policy names: correct uvmFeed.",
  uvmSvn:
    "The utility VM is older than the policy accepts: deploy the container group again, or lower uvmSvn.",
  // SGX
  mrEnclave:
    "Another enclave runs there than the policy accepts: compare with the MRENCLAVE of your build, and add it only if you trust that code.",
  mrSigner:
    "Another key signed the enclave: sign it with the key that the policy names, or correct mrSigner.",
  isvProdId: "Another product of the signer runs there: correct isv_prod_id or isvProdId.",
  isvSvn: "The enclave is older than the policy accepts: deploy a newer one.",
  configId: "Start the enclave with the CONFIGID that the policy names, or correct configId.",
  configSvn: "Start the enclave with a CONFIGSVN that the policy accepts, or correct configSvn.",
  isvExtProdId: "The enclave has another extended product id: correct it, or isvExtProdId.",
  isvFamilyId: "The enclave has another family id: correct it, or isvFamilyId.",
  provisionKey:
    "The enclave may use the provisioning key, by which machines are told apart: build it without that attribute, or accept it.",
  // TDX
  mrTd: "Another firmware started the TD than the policy accepts: use that image, or add its MRTD only if you trust it.",
  rtmr0: rtmr("firmware configuration"),
  rtmr1: rtmr("boot loader or kernel"),
  rtmr2: rtmr("kernel command line or initrd"),
  rtmr3: rtmr("application"),
  mrConfigId: "Start the TD with the MRCONFIGID that the policy names, or correct mrConfigId.",
  mrOwner: "Start the TD with the MROWNER that the policy names, or correct mrOwner.",
  mrOwnerConfig:
    "Start the TD with the MROWNERCONFIG that the policy names, or correct mrOwnerConfig.",
  mrSeam:
    "Another TDX module runs there than the policy accepts: add its MRSEAM, or name the TCB's status instead.",
  mrServiceTd:
    "A service TD (such as a migration TD) is bound to this TD, or the quote does not say: start the TD without one and ask for a quote of TDX 1.5, or accept its hash.",
  xfam: "Start the TD with the XFAM that the policy names, or correct xfam.",
  profiling: "The host may profile the TD: start it without the profiling bits of its ATTRIBUTES.",
  septVeDisable:
    "The host could inject #VE by taking pages away: start the TD with SEPT_VE_DISABLE set.",
  migratable: "A migration TD could take the TD elsewhere: start it without MIGRATABLE.",
  pks: "Start the TD with PKS as the policy demands, or correct pks.",
  keyLocker: "Start the TD with Key Locker as the policy demands, or correct keyLocker.",
  perfmon: "Start the TD with PERFMON as the policy demands, or correct perfmon.",
  // Intel's platform
  tcbStatus:
    "Update the platform's BIOS, microcode or TDX module, or accept this status if you have read its advisories.",
  advisoryIds:
    "Update the platform, or add the advisory to the policy once you have decided that it does not concern you.",
  tcbEvaluationDataNumber:
    "The collateral is of an older TCB recovery than the policy accepts: fetch it again (update=early for the newest).",
  fmspc: "Another model of platform answered: run the job on one that the policy lists, or add it.",
  // vTPM and Azure
  secureBoot: "Start the VM with Secure Boot, or accept that it has none.",
  consoleEnabled: "Start the VM without its console, or accept that its operator can reach it.",
  ...PCRS,
  issuer:
    "Another attestation provider made the token: attest at the one that the policy names, or add it if you trust who can change its policy.",
  policyHash:
    "The attestation provider's policy is another one: read it, then pin its x-ms-policy-hash.",
  launchMeasurement:
    "Another image or utility VM runs there than the policy accepts: add its launch measurement only if you trust it.",
  complianceStatus:
    "Azure does not vouch for this VM (x-ms-compliance-status): use Azure's image, or say any.",
  vmId: "Another VM answered: run the job there, or add its id.",
  osType: "The VM runs another kind of operating system than the policy names.",
  "reportedTcb.bootloader": TCB,
  "reportedTcb.tee": TCB,
  "reportedTcb.snp": TCB,
  "reportedTcb.microcode": TCB,
} as const;

/** The remedy of a claim, by its path. @throws RangeError where the table lacks it: a test walks all policies */
export function remedyOf(claim: string): string {
  const remedies: Readonly<Record<string, string>> = REMEDIES;
  const remedy = Object.hasOwn(remedies, claim) ? remedies[claim] : undefined;
  if (remedy === undefined) throw new RangeError(`the claim ${claim} has no remedy`);
  return remedy;
}
