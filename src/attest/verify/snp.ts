import { equalBytes, fromBase64Url, PpmlError } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import type { SnpEvidence, UvmReference } from "../evidence/snp-evidence.ts";
import { AMD_SNP_TRUST } from "./amd-roots.ts";
import type { SnpTrust } from "./amd-roots.ts";
import type { SnpCertificates } from "./snp-chain.ts";
import { verifySnpReport } from "./snp-report.ts";
import { MICROSOFT_UVM_ISSUERS, verifyUvmEndorsement } from "./uvm-endorsement.ts";
import { mintVerified } from "./verified.ts";
import type { Verified } from "./verified.ts";

/** Whom Evidence of this kind has to lead to. */
export type SnpEvidenceTrust = {
  readonly snp: SnpTrust;
  /** did:x509 of those whose endorsements of utility VMs are believed. */
  readonly uvmIssuers: readonly string[];
};

/** The vendors' own. */
export const PRODUCTION_SNP_TRUST: SnpEvidenceTrust = {
  snp: AMD_SNP_TRUST,
  uvmIssuers: MICROSOFT_UVM_ISSUERS,
};

/**
 * Verifies Evidence of wire type `snp` up to AMD's pinned roots. The evidence is the report; the
 * collateral `ark`, `ask` and `vcek`, or `ark`, `asvk` and `vlek`, in DER; in confidential containers
 * also `uvm`, the utility VM's endorsement (COSE_Sign1).
 * @throws attest.denied, attest.invalid, attest.not_verified, attest.unsupported
 * @see docs/attestation.md section "SEV-SNP"
 */
export function verifySnpEvidence(
  wire: WireEvidence,
  options: {
    /** Validity is checked for this time: milliseconds since 1970. */
    readonly nowMs: number;
  },
): Verified<SnpEvidence> {
  return verifySnpEvidenceUnder(wire, { ...options, trust: PRODUCTION_SNP_TRUST });
}

/** `verifySnpEvidence` under given roots. Production never calls it with others than the vendors'. */
export function verifySnpEvidenceUnder(
  wire: WireEvidence,
  options: { readonly nowMs: number; readonly trust: SnpEvidenceTrust },
): Verified<SnpEvidence> {
  const { nowMs, trust } = options;
  if (wire.type !== "snp")
    throw new PpmlError("attest.unsupported", `expected Evidence of type snp, got ${wire.type}`);
  const bytes = decodePart(wire.evidence, "evidence");
  const { certificates, uvm } = decodeCollateral(wire.collateral);
  const verified = verifySnpReport({ bytes, certificates, trust: trust.snp, nowMs });
  const reference =
    uvm === null
      ? null
      : checkReference(
          verifyUvmEndorsement(uvm, { issuers: trust.uvmIssuers, nowMs }),
          verified.report.measurement,
        );
  return mintVerified({
    evidence: { type: "snp", ...verified, uvm: reference },
    profile: "snp",
    simulated: false,
    verifiedAt: nowMs,
  });
}

/** Bytes of one base64url part of wire Evidence. @throws attest.invalid */
export function decodePart(text: string, what: string): Uint8Array {
  try {
    return fromBase64Url(text);
  } catch (cause) {
    throw new PpmlError("attest.invalid", `expected base64url in ${what}`, { cause });
  }
}

function decodeCollateral(collateral: WireEvidence["collateral"]): {
  readonly certificates: SnpCertificates;
  readonly uvm: Uint8Array | null;
} {
  const { ark, ask, vcek, asvk, vlek, uvm, ...rest } = collateral;
  const [authority, key, ...more] = [ask, vcek, asvk, vlek].filter((part) => part !== undefined);
  const paired = (ask === undefined) === (vcek === undefined);
  if (
    ark === undefined ||
    authority === undefined ||
    key === undefined ||
    !paired ||
    more.length + Object.keys(rest).length > 0
  )
    throw new PpmlError(
      "attest.invalid",
      `expected the collateral ark, ask, vcek or ark, asvk, vlek, and uvm where there is one; got ${Object.keys(collateral).join(", ").slice(0, 200)}`,
    );
  return {
    certificates: {
      ark: decodePart(ark, "ark"),
      authority: decodePart(authority, "ask or asvk"),
      key: decodePart(key, "vcek or vlek"),
    },
    uvm: uvm === undefined ? null : decodePart(uvm, "uvm"),
  };
}

function checkReference(reference: UvmReference, measurement: Uint8Array): UvmReference {
  if (!equalBytes(reference.launchMeasurement, measurement))
    throw new PpmlError(
      "attest.not_verified",
      "the endorsement is of another utility VM than the report's: send the endorsement that the host gave with this report",
    );
  return reference;
}
