import { equalBytes, PpmlError, sha256 } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import type {
  AzSnpVtpmEvidence,
  AzTdxVtpmEvidence,
  VtpmVerification,
} from "../evidence/azure-vtpm-evidence.ts";
import { parseAzureVtpmJson } from "../evidence/azure-vtpm-json.ts";
import type { AzureVtpmParts } from "../evidence/azure-vtpm-json.ts";
import { parseHclReport } from "../evidence/hcl-report.ts";
import type { HclReport } from "../evidence/hcl-report.ts";
import { parseTdReportStruct } from "../evidence/td-report-struct.ts";
import { AMD_SNP_TRUST } from "./amd-roots.ts";
import type { SnpTrust } from "./amd-roots.ts";
import { refusePublishedKey } from "./published.ts";
import { decodePart } from "./snp.ts";
import { verifySnpReport } from "./snp-report.ts";
import { verifyTpmQuote } from "./tpm-quote.ts";
import { mintVerified } from "./verified.ts";
import type { Verified } from "./verified.ts";

/** Verifies a TD quote with its collateral: the DCAP verifier's own function, fitted to this shape. */
export type VerifyTdQuote<Q> = (input: {
  readonly quote: Uint8Array;
  /** As it came on the wire, base64url by name. */
  readonly collateral: WireEvidence["collateral"];
  readonly nowMs: number;
}) => {
  /** 64 bytes. */
  readonly reportData: Uint8Array;
  readonly verified: Verified<Q>;
};

/** What the verification of an Azure vTPM needs besides the Evidence. */
export type AzureVtpmOptions<Q> = {
  /** Validity is checked for this time: milliseconds since 1970. */
  readonly nowMs: number;
  /** What the quote has to be made for: at most 64 bytes, computed by the relying party. */
  readonly qualifyingData: Uint8Array | "not-compared";
  /** Whether the VM is itself the workload, or a node whose pods the Evidence cannot name. */
  readonly snpProfile: "snp" | "snp-node";
  readonly verifyTdQuote: VerifyTdQuote<Q>;
};

/**
 * Verifies Evidence of wire type `az-snp-vtpm` or `az-tdx-vtpm` (the JSON of CoCo's attesters): the
 * hardware's report up to the vendor's root, the runtime data that it binds, and the vTPM's quote by
 * the attestation key in there. SNP's collateral is `ark`, `ask`
 * and, where it was fetched, the ARK's `crl`, in DER; TDX's is DCAP's.
 * @throws attest.collateral, attest.denied, attest.invalid, attest.not_verified, attest.revoked, attest.unsupported
 * @see docs/attestation.md section "Azure vTPM"
 */
export function verifyAzureVtpmEvidence<Q>(
  wire: WireEvidence,
  options: AzureVtpmOptions<Q>,
): Verified<AzSnpVtpmEvidence | AzTdxVtpmEvidence<Q>> {
  return verifyAzureVtpmEvidenceUnder(wire, { ...options, trust: AMD_SNP_TRUST });
}

/** `verifyAzureVtpmEvidence` under given roots. Production never calls it with others than AMD's. */
export function verifyAzureVtpmEvidenceUnder<Q>(
  wire: WireEvidence,
  options: AzureVtpmOptions<Q> & { readonly trust: SnpTrust },
): Verified<AzSnpVtpmEvidence | AzTdxVtpmEvidence<Q>> {
  if (wire.type !== "az-snp-vtpm" && wire.type !== "az-tdx-vtpm")
    throw new PpmlError(
      "attest.unsupported",
      `expected Evidence of type az-snp-vtpm or az-tdx-vtpm, got ${wire.type}`,
    );
  const parts = parseAzureVtpmJson(decodePart(wire.evidence, "evidence"));
  const hcl = parseHclReport(parts.hclReport);
  if (wire.type !== `az-${hcl.type}-vtpm`)
    throw new PpmlError(
      "attest.invalid",
      `expected the report of a TEE of kind ${wire.type}, got one of ${hcl.type}`,
    );
  return hcl.type === "snp"
    ? verifyOnSnp(wire, { ...options, parts, hcl })
    : verifyOnTdx(wire, { ...options, parts, hcl });
}

type Parsed = { readonly parts: AzureVtpmParts; readonly hcl: HclReport };

function verifyOnSnp<Q>(
  wire: WireEvidence,
  options: AzureVtpmOptions<Q> & Parsed & { readonly trust: SnpTrust },
): Verified<AzSnpVtpmEvidence> {
  const { parts, hcl, nowMs, trust } = options;
  const { ark, ask, crl, ...rest } = wire.collateral;
  if (ark === undefined || ask === undefined || parts.vcek === null || Object.keys(rest).length > 0)
    throw new PpmlError(
      "attest.invalid",
      "expected the collateral ark and ask, crl where it was fetched, and the vcek in the Evidence",
    );
  const certificates = {
    ark: decodePart(ark, "ark"),
    authority: decodePart(ask, "ask"),
    key: parts.vcek,
    crl: crl === undefined ? null : decodePart(crl, "crl"),
  };
  const { report, snp } = verifySnpReport({
    bytes: hcl.hardwareReport,
    certificates,
    trust,
    nowMs,
  });
  // The paravisor alone runs at VMPL 0: a report of another level binds what the guest itself chose.
  if (report.vmpl !== 0)
    throw new PpmlError(
      "attest.not_verified",
      `expected the paravisor's report (VMPL 0), got one of VMPL ${report.vmpl}`,
    );
  return mintVerified({
    evidence: { type: "az-snp-vtpm", report, snp, vtpm: verifyVtpm(report.reportData, options) },
    profile: options.snpProfile,
    simulated: false,
    verifiedAt: nowMs,
  });
}

function verifyOnTdx<Q>(
  wire: WireEvidence,
  options: AzureVtpmOptions<Q> & Parsed,
): Verified<AzTdxVtpmEvidence<Q>> {
  const { parts, hcl, nowMs } = options;
  const quote = parts.tdQuote;
  if (quote === null)
    throw new PpmlError("attest.invalid", "expected a TD quote in the vTPM's Evidence");
  const { reportData, verified } = options.verifyTdQuote({
    quote,
    collateral: wire.collateral,
    nowMs,
  });
  // The TDREPORT is MACed for its own machine: only the quote is evidence of what it says.
  if (!equalBytes(parseTdReportStruct(hcl.hardwareReport).reportData, reportData))
    throw new PpmlError(
      "attest.not_verified",
      "the TD quote is not of the HCL report's TD: its report data differ",
    );
  return mintVerified({
    evidence: { type: "az-tdx-vtpm", tdQuote: verified, vtpm: verifyVtpm(reportData, options) },
    profile: "tdx",
    simulated: verified.simulated,
    verifiedAt: nowMs,
  });
}

/** The report data binds the runtime data, the runtime data the attestation key, the key the quote. */
function verifyVtpm<Q>(
  reportData: Uint8Array,
  options: AzureVtpmOptions<Q> & Parsed,
): VtpmVerification {
  const { parts, hcl, qualifyingData } = options;
  const expected = new Uint8Array(64);
  expected.set(sha256(hcl.runtimeDataBytes));
  if (!equalBytes(reportData, expected))
    throw new PpmlError(
      "attest.not_verified",
      "the hardware's report does not bind the HCL report's runtime data: one of them was changed",
    );
  const { attestationKey, vmConfiguration, userData } = hcl.runtimeData;
  refusePublishedKey(attestationKey);
  const { quote, pcrs } = verifyTpmQuote({
    ...parts.quote,
    publicKey: attestationKey,
    qualifyingData,
    pcrs: { hash: "sha256", values: parts.pcrs },
  });
  const { extraData, clockInfo, firmwareVersion } = quote;
  const spki = attestationKey.export({ format: "der", type: "spki" });
  return {
    extraData,
    pcrs,
    clockInfo,
    firmwareVersion,
    attestationKeySha256: sha256(spki),
    vmConfiguration,
    userData,
  };
}
