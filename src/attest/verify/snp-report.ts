import { PpmlError } from "../../base/index.ts";
import type { SnpVerification } from "../evidence/snp-evidence.ts";
import { parseSnpGuestPolicy, parseSnpTcbOf, snpProductOfCpuid } from "../evidence/snp-fields.ts";
import { parseSnpReport } from "../evidence/snp-report.ts";
import type { SnpReport } from "../evidence/snp-report.ts";
import type { SnpTrust } from "./amd-roots.ts";
import { refusePublishedKey, refusePublishedReport } from "./published.ts";
import { checkSnpKey, verifySnpChain } from "./snp-chain.ts";
import type { SnpCertificates, SnpKey } from "./snp-chain.ts";
import { verifySnpSignature } from "./snp-signature.ts";

/** VMPLs are 0 to 3; a report that the host asked for has FFFFFFFFh. @see AMD 56860 table 23 */
const MAX_VMPL = 3;

/**
 * Verifies a report (1184 bytes) with its key's chain up to the pinned roots: chain, product, chip,
 * TCB and signature. It says what runs where; whether that is acceptable is for `appraise` to say.
 * @throws attest.collateral, attest.denied, attest.invalid, attest.not_verified, attest.revoked, attest.unsupported
 * @see AMD 56860 rev. 1.58 (SEV-SNP ABI) section 7.3 and table 23
 */
export function verifySnpReport(options: {
  readonly bytes: Uint8Array;
  readonly certificates: SnpCertificates;
  readonly trust: SnpTrust;
  readonly nowMs: number;
}): { readonly report: SnpReport; readonly snp: SnpVerification } {
  const { bytes, certificates, trust, nowMs } = options;
  const report = parseSnpReport(bytes);
  const kind = checkSnpOrigin(report);
  const key = verifySnpChain({ kind, certificates, trust, nowMs });
  checkProduct(report, key);
  checkSnpKey(report, key);
  verifySnpSignature({ bytes, report, publicKey: key.certificate.publicKey });
  refusePublishedReport(report.reportData);
  refusePublishedKey(key.certificate.publicKey);
  return { report, snp: describe(report, key) };
}

/**
 * The kind of key that signed a report which its guest asked for.
 * @throws attest.not_verified where nobody signed it, or where the host asked for it
 */
export function checkSnpOrigin(report: SnpReport): "vcek" | "vlek" {
  if (report.signingKey === "none" || report.maskChipKey)
    throw new PpmlError(
      "attest.not_verified",
      `expected a report signed by a VCEK or VLEK, got ${report.maskChipKey ? "a masked key" : "no key"}: the host has to allow signing`,
    );
  if (report.vmpl > MAX_VMPL)
    throw new PpmlError(
      "attest.not_verified",
      `expected a report that the guest asked for (VMPL 0 to 3), got VMPL ${report.vmpl}`,
    );
  return report.signingKey;
}

function checkProduct(report: SnpReport, { product }: SnpKey): void {
  if (report.cpuid !== null && snpProductOfCpuid(report.cpuid) !== product)
    throw new PpmlError(
      "attest.not_verified",
      `the report is of ${snpProductOfCpuid(report.cpuid)}, its key's certificate of ${product}`,
    );
}

function describe(report: SnpReport, key: SnpKey): SnpVerification {
  const tcbOf = (tcb: bigint) => parseSnpTcbOf(tcb, key.product);
  return {
    product: key.product,
    signingKey: key.kind,
    chipId: report.chipId.every((byte) => byte === 0) ? null : report.chipId,
    cspId: key.cspId,
    guestPolicy: parseSnpGuestPolicy(report.policy),
    tcb: {
      current: tcbOf(report.currentTcb),
      reported: tcbOf(report.reportedTcb),
      committed: tcbOf(report.committedTcb),
      launch: tcbOf(report.launchTcb),
    },
    validUntilMs: key.validUntilMs,
    revocationChecked: key.revocationChecked,
  };
}
