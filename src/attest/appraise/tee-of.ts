import { unreachable } from "../../base/index.ts";
import type { SgxEvidence, TdxEvidence } from "../evidence/dcap-evidence.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { MaaAzureVm, MaaSgx, MaaSnp, MaaTdx, MaaTee } from "../evidence/maa-evidence.ts";
import type { VtpmVerification } from "../evidence/azure-vtpm-evidence.ts";
import { sgxAttributes } from "../evidence/sgx-report.ts";
import { parseSnpGuestPolicy, parseSnpTcb } from "../evidence/snp-fields.ts";
import type { SnpTcb } from "../evidence/snp-fields.ts";
import type { SnpReport } from "../evidence/snp-report.ts";
import { parseTdAttributes } from "../evidence/td-attributes.ts";

/**
 * A TEE as Microsoft Azure Attestation would describe it, from Evidence that was verified here; what
 * only Azure can say is null.
 */
export function maaTeeOf(evidence: Evidence): MaaTee {
  switch (evidence.type) {
    case "sim-snp":
      return snpTee(evidence.report, parseSnpTcb(evidence.report.reportedTcb, evidence.report));
    case "snp":
      return snpTee(evidence.report, evidence.snp.tcb.reported);
    case "sgx":
    case "sim-sgx":
      return sgxTee(evidence);
    case "tdx":
    case "sim-tdx":
      return tdxTee(evidence);
    case "az-snp-vtpm":
      return vmTee(snpTee(evidence.report, evidence.snp.tcb.reported), evidence.vtpm);
    case "az-tdx-vtpm":
      return vmTee(tdxTee(evidence.tdQuote.evidence), evidence.vtpm);
    case "maa":
      return evidence.tee;
    default:
      return unreachable(evidence);
  }
}

function snpTee(report: SnpReport, tcb: SnpTcb): MaaSnp {
  const guest = parseSnpGuestPolicy(report.policy);
  const { bootloader, tee, snp, microcode } = tcb;
  return {
    attestationType: "sevsnpvm",
    launchMeasurement: report.measurement,
    hostData: report.hostData,
    reportData: report.reportData,
    reportId: report.reportId,
    familyId: report.familyId,
    imageId: report.imageId,
    idKeyDigest: report.idKeyDigest,
    authorKeyDigest: report.authorKeyDigest,
    guestSvn: report.guestSvn,
    vmpl: report.vmpl,
    debuggable: guest.debug,
    migrationAllowed: guest.migrateMa,
    smtAllowed: guest.smt,
    tcb: { bootloader, tee, snp, microcode },
    complianceStatus: null,
  };
}

function sgxTee({ quote }: Omit<SgxEvidence, "type">): MaaSgx {
  const { body } = quote;
  const { debug, kss } = sgxAttributes(body.attributes);
  return {
    attestationType: "sgx",
    mrEnclave: body.mrEnclave,
    mrSigner: body.mrSigner,
    productId: body.isvProdId,
    svn: body.isvSvn,
    debuggable: debug,
    reportData: body.reportData,
    configId: kss ? body.configId : null,
    configSvn: kss ? body.configSvn : null,
    isvExtendedProductId: kss ? body.isvExtProdId : null,
    isvFamilyId: kss ? body.isvFamilyId : null,
    enclaveHeldData: null,
  };
}

function tdxTee({ quote, verification }: Omit<TdxEvidence, "type">): MaaTdx {
  const { body } = quote;
  return {
    attestationType: "tdxvm",
    mrTd: body.mrTd,
    rtmr: [body.rtmr0, body.rtmr1, body.rtmr2, body.rtmr3],
    mrConfigId: body.mrConfigId,
    mrOwner: body.mrOwner,
    mrOwnerConfig: body.mrOwnerConfig,
    mrSeam: body.mrSeam,
    mrSignerSeam: body.mrSignerSeam,
    reportData: body.reportData,
    tdAttributes: body.tdAttributes,
    xfam: body.xfam,
    teeTcbSvn: body.teeTcbSvn,
    debuggable: parseTdAttributes(body.tdAttributes).debug,
    tcbStatus: verification.tcbStatus,
    complianceStatus: null,
  };
}

function vmTee(isolationTee: MaaSnp | MaaTdx, vtpm: VtpmVerification): MaaAzureVm {
  return {
    attestationType: "azurevm",
    isolationTee,
    isolationRuntime: null,
    secureBoot: vtpm.vmConfiguration["secure-boot"],
    vmId: vtpm.vmConfiguration.vmUniqueId,
    osType: null,
    attestedPcrs: [...vtpm.pcrs.keys()],
    bootDebug: null,
    kernelDebug: null,
    hypervisorDebug: null,
    testSigning: null,
  };
}
