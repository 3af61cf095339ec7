import { equalBytes, fromBase64Url, PpmlError } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import type { SimSnpEvidence } from "../evidence/evidence.ts";
import { SIMULATION_MARK } from "../evidence/simulation-mark.ts";
import { parseSnpTcb } from "../evidence/snp-fields.ts";
import { parseSnpReport } from "../evidence/snp-report.ts";
import type { SnpReport } from "../evidence/snp-report.ts";
import { parseVcekExtensions } from "../evidence/vcek-extensions.ts";
import { verifySnpSignature } from "../verify/snp-signature.ts";
import { mintVerified } from "../verify/verified.ts";
import type { Verified } from "../verify/verified.ts";
import { parseCertificate } from "../x509/certificate.ts";
import type { Certificate } from "../x509/certificate.ts";
import { ECDSA_P384_SHA384, verifyChain } from "../x509/chain.ts";

export { SIMULATION_MARK };

/** VMPLs are 0 to 3; a report that the host asked for has FFFFFFFFh. @see AMD 56860 table 23 */
const MAX_VMPL = 3;

/**
 * Verifies simulated Evidence (wire type `sim-snp`) up to the pinned root of a simulation: the chain
 * ARK, ASK, VCEK, the VCEK's chip id and TCB against the report's, and the report's signature.
 * @throws attest.invalid, attest.not_verified, attest.unsupported
 * @see docs/attestation.md section "Simulated Evidence"
 */
export function verifySimulatedEvidence(
  wire: WireEvidence,
  options: {
    /** The ARK's certificate in DER, as it was pinned. */
    readonly simulationRoot: Uint8Array;
    /** Validity is checked for this time: milliseconds since 1970. */
    readonly nowMs: number;
  },
): Verified<SimSnpEvidence> {
  if (wire.type !== "sim-snp")
    throw new PpmlError(
      "attest.unsupported",
      `expected simulated Evidence of type sim-snp, got ${wire.type}`,
    );
  const bytes = decode(wire.evidence, "evidence");
  const report = parseSnpReport(bytes);
  const { ask, vcek } = decodeCollateral(wire.collateral);
  const chip = verifyVcekChain({ ark: options.simulationRoot, ask, vcek, nowMs: options.nowMs });
  checkReport(report);
  checkChip(report, chip);
  verifySnpSignature({ bytes, report, publicKey: chip.publicKey });
  return mintVerified({
    evidence: { type: "sim-snp", report },
    profile: "sim",
    simulated: true,
    verifiedAt: options.nowMs,
  });
}

/**
 * Verifies the three DER certificates of a simulation at `nowMs`; gives the VCEK's.
 * @throws attest.invalid, attest.not_verified
 */
export function verifyVcekChain(options: {
  readonly ark: Uint8Array;
  readonly ask: Uint8Array;
  readonly vcek: Uint8Array;
  readonly nowMs: number;
}): Certificate {
  const leaf = parseCertificate(options.vcek);
  const certificates = [parseCertificate(options.ark), parseCertificate(options.ask), leaf];
  for (const { commonName } of certificates)
    if (!commonName.includes(SIMULATION_MARK))
      throw new PpmlError(
        "attest.not_verified",
        `the certificate "${commonName}" is not one of a simulation: its name lacks "${SIMULATION_MARK}"`,
      );
  verifyChain({ certificates, algorithm: ECDSA_P384_SHA384, nowMs: options.nowMs });
  return leaf;
}

function decodeCollateral(collateral: WireEvidence["collateral"]): {
  readonly ask: Uint8Array;
  readonly vcek: Uint8Array;
} {
  const { ask, vcek, ...rest } = collateral;
  if (ask === undefined || vcek === undefined || Object.keys(rest).length > 0)
    throw new PpmlError(
      "attest.invalid",
      `expected the collateral ask and vcek, got ${Object.keys(collateral).length} entries`,
    );
  return { ask: decode(ask, "ask"), vcek: decode(vcek, "vcek") };
}

function decode(text: string, what: string): Uint8Array {
  try {
    return fromBase64Url(text);
  } catch (cause) {
    throw new PpmlError("attest.invalid", `expected base64url in ${what}`, { cause });
  }
}

function checkReport(report: SnpReport): void {
  if (report.signingKey !== "vcek" || report.maskChipKey)
    throw new PpmlError(
      "attest.not_verified",
      `expected a report signed by the VCEK, got ${report.maskChipKey ? "a masked key" : report.signingKey}`,
    );
  if (report.vmpl > MAX_VMPL)
    throw new PpmlError(
      "attest.not_verified",
      `expected a report that the guest asked for (VMPL 0 to 3), got VMPL ${report.vmpl}`,
    );
}

/** The VCEK is derived from the chip and its TCB: its certificate has to name those of the report. */
function checkChip(report: SnpReport, certificate: Certificate): void {
  const { hwId, tcb } = parseVcekExtensions(certificate);
  if (!equalBytes(hwId, report.chipId))
    throw new PpmlError(
      "attest.not_verified",
      "the VCEK certificate is of another chip than the report: send the certificate of this chip",
    );
  const reported = parseSnpTcb(report.reportedTcb, report);
  for (const part of ["bootloader", "tee", "snp", "microcode", "fmc"] as const)
    if (tcb[part] !== reported[part])
      throw new PpmlError(
        "attest.not_verified",
        `the VCEK certificate is for ${part} SVN ${tcb[part]}, the report says ${reported[part]}: send the certificate of this TCB`,
      );
}
