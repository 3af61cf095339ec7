const TCB =
  "Update the platform's firmware or microcode, or lower the minimum in the policy's reportedTcb if its advisories do not concern you.";

/** What to do where a claim is not met, by the claim's path in the policy. */
export const REMEDIES = {
  tee: "Run the job on the kind of TEE that the policy names, or apply a policy for this kind.",
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
