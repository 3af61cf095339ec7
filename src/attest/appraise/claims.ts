import { equalBytes, PpmlError, toHex } from "../../base/index.ts";
import { reportDataOf } from "../../format/runtime-data.ts";
import type { RuntimeData } from "../../format/runtime-data.ts";
import type { Evidence } from "../evidence/evidence.ts";
import { parseSnpGuestPolicy, parseSnpTcb } from "../evidence/snp-fields.ts";
import type { Verified } from "../verify/verified.ts";

/** JSON claims in the form of Microsoft Azure Attestation, which release policies are written for. */
export type MaaClaims = Readonly<Record<string, unknown>>;

/**
 * The claims that MAA makes of an SEV-SNP VM, without its deprecated names, from verified Evidence
 * and the runtime data that it binds; `ppml.simulated` says whether hardware stands behind them.
 * Claims that only Azure can make (x-ms-compliance-status, x-ms-policy-hash) are left out.
 * @throws attest.not_verified where the Evidence does not bind `runtimeData`
 * @see learn.microsoft.com/azure/attestation/claim-sets, "SEV-SNP attestation"
 */
export function maaClaims(options: {
  readonly evidence: Verified<Evidence>;
  readonly runtimeData: RuntimeData;
}): MaaClaims {
  const { evidence: verified, runtimeData } = options;
  const { report } = verified.evidence;
  if (!equalBytes(report.reportData, reportDataOf(runtimeData)))
    throw new PpmlError(
      "attest.not_verified",
      "the Evidence's report data is not the digest of this runtime data: let the TEE attest again",
    );
  const guest = parseSnpGuestPolicy(report.policy);
  const tcb = parseSnpTcb(report.reportedTcb, report);
  return {
    "x-ms-ver": "1.0",
    "x-ms-attestation-type": "sevsnpvm",
    "x-ms-sevsnpvm-launchmeasurement": toHex(report.measurement),
    "x-ms-sevsnpvm-hostdata": toHex(report.hostData),
    "x-ms-sevsnpvm-reportdata": toHex(report.reportData),
    "x-ms-sevsnpvm-reportid": toHex(report.reportId),
    "x-ms-sevsnpvm-familyId": toHex(report.familyId),
    "x-ms-sevsnpvm-imageId": toHex(report.imageId),
    "x-ms-sevsnpvm-idkeydigest": toHex(report.idKeyDigest),
    "x-ms-sevsnpvm-authorkeydigest": toHex(report.authorKeyDigest),
    "x-ms-sevsnpvm-guestsvn": report.guestSvn,
    "x-ms-sevsnpvm-vmpl": report.vmpl,
    "x-ms-sevsnpvm-is-debuggable": guest.debug,
    "x-ms-sevsnpvm-migration-allowed": guest.migrateMa,
    "x-ms-sevsnpvm-smt-allowed": guest.smt,
    "x-ms-sevsnpvm-bootloader-svn": tcb.bootloader,
    "x-ms-sevsnpvm-tee-svn": tcb.tee,
    "x-ms-sevsnpvm-snpfw-svn": tcb.snp,
    "x-ms-sevsnpvm-microcode-svn": tcb.microcode,
    "x-ms-runtime": runtimeData,
    ppml: { simulated: verified.simulated },
  };
}
