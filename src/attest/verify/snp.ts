import { equalBytes, fromBase64Url, PpmlError } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import type { SnpEvidence, UvmReference } from "../evidence/snp-evidence.ts";
import { parseSnpReport } from "../evidence/snp-report.ts";
import { parsePemCertificates } from "../x509/pem.ts";
import { AMD_SNP_TRUST } from "./amd-roots.ts";
import type { SnpTrust } from "./amd-roots.ts";
import type { SnpCertificates } from "./snp-chain.ts";
import { checkSnpOrigin, verifySnpReport } from "./snp-report.ts";
import { MICROSOFT_UVM_ISSUERS, verifyUvmEndorsement } from "./uvm-endorsement.ts";
import { mintVerified } from "./verified.ts";
import type { Verified } from "./verified.ts";

const MAX_PEM_BYTES = 16 * 1024;

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
 * collateral `ark`, `ask` and `vcek`, or `ark`, `asvk` and `vlek`, in DER; `crl`, the ARK's, where it
 * was fetched; in confidential containers `uvm`, the utility VM's endorsement (COSE_Sign1).
 * @throws attest.collateral, attest.denied, attest.invalid, attest.not_verified, attest.revoked, attest.unsupported
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
  const kind = checkSnpOrigin(parseSnpReport(bytes));
  const { certificates, uvm } = decodeCollateral(wire.collateral, kind);
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

/**
 * Hosts give what they have: of a VCEK and a VLEK the one that signed is taken, and an ASVK stands
 * where hosts' tables have the ASK. Unknown names are refused.
 */
function decodeCollateral(
  collateral: WireEvidence["collateral"],
  kind: "vcek" | "vlek",
): { readonly certificates: SnpCertificates; readonly uvm: Uint8Array | null } {
  const { ark, ask, vcek, asvk, vlek, crl, uvm, ...rest } = collateral;
  const [authority, key] = kind === "vlek" ? [asvk ?? ask, vlek] : [ask, vcek];
  const got = Object.keys(collateral).join(", ").slice(0, 200) || "none";
  if (Object.keys(rest).length > 0)
    throw new PpmlError(
      "attest.invalid",
      `expected the collateral ark, ask, vcek, asvk, vlek, crl and uvm, as far as there are; got ${got}`,
    );
  if (ark === undefined || authority === undefined || key === undefined)
    throw new PpmlError(
      "attest.collateral",
      kind === "vlek"
        ? `expected the collateral ark, asvk and vlek for a report that a VLEK signed, got ${got}: give the VLEK's certificate, which the host has in its extended report`
        : `expected the collateral ark, ask and vcek for a report that its chip's VCEK signed, got ${got}: give the certificate of this chip and TCB`,
    );
  return {
    certificates: {
      ark: decodeCertificate(ark, "ark"),
      authority: decodeCertificate(authority, "ask or asvk"),
      key: decodeCertificate(key, "vcek or vlek"),
      crl: crl === undefined ? null : decodePart(crl, "crl"),
    },
    uvm: uvm === undefined ? null : decodePart(uvm, "uvm"),
  };
}

/** DER; hosts may have loaded PEM. */
function decodeCertificate(text: string, what: string): Uint8Array {
  const bytes = decodePart(text, what);
  // "-----BEGIN"; DER begins with 30h.
  if (bytes[0] !== 0x2d) return bytes;
  const [certificate, ...more] = parsePemCertificates(
    String.fromCharCode(...bytes.subarray(0, MAX_PEM_BYTES)),
  );
  if (certificate === undefined || more.length > 0)
    throw new PpmlError("attest.invalid", `expected one certificate in ${what}`);
  return certificate;
}

function checkReference(reference: UvmReference, measurement: Uint8Array): UvmReference {
  if (!equalBytes(reference.launchMeasurement, measurement))
    throw new PpmlError(
      "attest.not_verified",
      "the endorsement is of another utility VM than the report's: send the endorsement that the host gave with this report",
    );
  return reference;
}
