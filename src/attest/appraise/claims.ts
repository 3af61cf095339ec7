import { equalBytes, PpmlError, toHex, unreachable } from "../../base/index.ts";
import { encodeJcs } from "../../format/jcs.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { JsonObject, MaaSgx, MaaSnp, MaaTdx, MaaTee } from "../evidence/maa-evidence.ts";
import { parseTdAttributes } from "../evidence/td-attributes.ts";
import type { Verified } from "../verify/verified.ts";
import { boundData, expectedBinding } from "./binding.ts";
import { maaTeeOf } from "./tee-of.ts";

/** JSON claims in the form of Microsoft Azure Attestation, which release policies are written for. */
export type MaaClaims = Readonly<Record<string, unknown>>;

/**
 * The claims that MAA makes of a TEE, without its deprecated names, from verified Evidence and the
 * runtime data that it binds; `ppml.simulated` says whether hardware stands behind them. Claims that
 * only Azure can make are there only where a token of its own made them.
 * @throws attest.not_verified where the Evidence does not bind `runtimeData`
 * @see learn.microsoft.com/azure/attestation/claim-sets
 */
export function maaClaims(options: {
  readonly evidence: Verified<Evidence>;
  readonly runtimeData: JsonObject;
}): MaaClaims {
  const { evidence: verified, runtimeData } = options;
  const { evidence } = verified;
  if (!equalBytes(boundData(evidence), expectedBinding(evidence, encodeJcs(runtimeData))))
    throw new PpmlError(
      "attest.not_verified",
      "the Evidence's report data is not the digest of this runtime data: let the TEE attest again",
    );
  return { ...claimsOf(verified), "x-ms-runtime": runtimeData };
}

/**
 * `maaClaims` of Evidence that binds bytes by a protocol of its own, such as an RA-TLS certificate's:
 * there is no claim `x-ms-runtime`.
 * @throws attest.not_verified where the Evidence does not bind `reportData`
 */
export function maaClaimsOfReport(options: {
  readonly evidence: Verified<Evidence>;
  readonly reportData: Uint8Array;
}): MaaClaims {
  const { evidence: verified, reportData } = options;
  if (!equalBytes(boundData(verified.evidence), reportData))
    throw new PpmlError(
      "attest.not_verified",
      "the Evidence's report data are not those that were expected: let the TEE attest again",
    );
  return claimsOf(verified);
}

function claimsOf(verified: Verified<Evidence>): MaaClaims {
  const { evidence, simulated } = verified;
  return {
    "x-ms-ver": "1.0",
    ...claimsOfTee(maaTeeOf(evidence)),
    ...(evidence.type === "maa" ? { "x-ms-policy-hash": evidence.policyHash } : {}),
    ppml: { simulated },
  };
}

function claimsOfTee(tee: MaaTee): MaaClaims {
  switch (tee.attestationType) {
    case "sgx":
      return sgxClaims(tee);
    case "sevsnpvm":
      return snpClaims(tee);
    case "tdxvm":
      return tdxClaims(tee);
    case "azurevm":
      return withoutNull({
        "x-ms-attestation-type": "azurevm",
        secureboot: tee.secureBoot,
        "x-ms-azurevm-vmid": tee.vmId,
        "x-ms-azurevm-ostype": tee.osType,
        "x-ms-azurevm-bootdebug-enabled": tee.bootDebug,
        "x-ms-azurevm-kerneldebug-enabled": tee.kernelDebug,
        "x-ms-azurevm-hypervisordebug-enabled": tee.hypervisorDebug,
        "x-ms-azurevm-testsigning-enabled": tee.testSigning,
        "x-ms-isolation-tee": claimsOfTee(tee.isolationTee),
      });
    default:
      return unreachable(tee);
  }
}

function sgxClaims(tee: MaaSgx): MaaClaims {
  return withoutNull({
    "x-ms-attestation-type": "sgx",
    "x-ms-sgx-mrenclave": toHex(tee.mrEnclave),
    "x-ms-sgx-mrsigner": toHex(tee.mrSigner),
    "x-ms-sgx-product-id": tee.productId,
    "x-ms-sgx-svn": tee.svn,
    "x-ms-sgx-is-debuggable": tee.debuggable,
    "x-ms-sgx-report-data": toHex(tee.reportData),
    "x-ms-sgx-config-id": hexOrNull(tee.configId),
    "x-ms-sgx-config-svn": tee.configSvn,
    "x-ms-sgx-isv-extended-product-id": hexOrNull(tee.isvExtendedProductId),
    "x-ms-sgx-isv-family-id": hexOrNull(tee.isvFamilyId),
  });
}

function snpClaims(tee: MaaSnp): MaaClaims {
  return withoutNull({
    "x-ms-attestation-type": "sevsnpvm",
    "x-ms-sevsnpvm-launchmeasurement": toHex(tee.launchMeasurement),
    "x-ms-sevsnpvm-hostdata": toHex(tee.hostData),
    "x-ms-sevsnpvm-reportdata": toHex(tee.reportData),
    "x-ms-sevsnpvm-reportid": toHex(tee.reportId),
    "x-ms-sevsnpvm-familyId": toHex(tee.familyId),
    "x-ms-sevsnpvm-imageId": toHex(tee.imageId),
    "x-ms-sevsnpvm-idkeydigest": toHex(tee.idKeyDigest),
    "x-ms-sevsnpvm-authorkeydigest": toHex(tee.authorKeyDigest),
    "x-ms-sevsnpvm-guestsvn": tee.guestSvn,
    "x-ms-sevsnpvm-vmpl": tee.vmpl,
    "x-ms-sevsnpvm-is-debuggable": tee.debuggable,
    "x-ms-sevsnpvm-migration-allowed": tee.migrationAllowed,
    "x-ms-sevsnpvm-smt-allowed": tee.smtAllowed,
    "x-ms-sevsnpvm-bootloader-svn": tee.tcb.bootloader,
    "x-ms-sevsnpvm-tee-svn": tee.tcb.tee,
    "x-ms-sevsnpvm-snpfw-svn": tee.tcb.snp,
    "x-ms-sevsnpvm-microcode-svn": tee.tcb.microcode,
    "x-ms-compliance-status": tee.complianceStatus,
  });
}

function tdxClaims(tee: MaaTdx): MaaClaims {
  const attributes = parseTdAttributes(tee.tdAttributes);
  const [rtmr0, rtmr1, rtmr2, rtmr3] = tee.rtmr;
  return withoutNull({
    "x-ms-attestation-type": "tdxvm",
    tdx_mrtd: toHex(tee.mrTd),
    tdx_rtmr0: toHex(rtmr0),
    tdx_rtmr1: toHex(rtmr1),
    tdx_rtmr2: toHex(rtmr2),
    tdx_rtmr3: toHex(rtmr3),
    tdx_mrconfigid: toHex(tee.mrConfigId),
    tdx_mrowner: toHex(tee.mrOwner),
    tdx_mrownerconfig: toHex(tee.mrOwnerConfig),
    tdx_mrseam: toHex(tee.mrSeam),
    tdx_mrsignerseam: toHex(tee.mrSignerSeam),
    tdx_report_data: toHex(tee.reportData),
    tdx_td_attributes: toHex(tee.tdAttributes),
    tdx_td_attributes_debug: tee.debuggable,
    tdx_td_attributes_septve_disable: attributes.septVeDisable,
    tdx_xfam: toHex(tee.xfam),
    tdx_tee_tcb_svn: toHex(tee.teeTcbSvn),
    attester_tcb_status: tee.tcbStatus,
    "x-ms-compliance-status": tee.complianceStatus,
  });
}

function hexOrNull(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : toHex(bytes);
}

/** A missing claim is left out: no condition of a release policy is met by one that is null. */
function withoutNull(claims: Readonly<Record<string, unknown>>): MaaClaims {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null));
}
