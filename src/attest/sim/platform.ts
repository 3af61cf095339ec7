import { randomBytes, sign } from "node:crypto";
import { PpmlError, toBase64Url } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { encodeSnpTcb } from "../evidence/snp-fields.ts";
import {
  encodeSnpReport,
  SNP_ECDSA_P384_SHA384,
  SNP_SIGNED_BYTES,
} from "../evidence/snp-report.ts";
import type { SnpReport } from "../evidence/snp-report.ts";
import { loadSimulationPki } from "./pki.ts";
import type { SimulationPki } from "./pki.ts";

/** Stands where the CPU would: whoever holds it can say any measurement, which is why it is no TEE. */
export type SimulatedPlatform = {
  /** The root to pin, in DER. */
  readonly root: Uint8Array;
  /**
   * Evidence for a TEE: `measurement` 48 bytes, taken by the platform; `reportData` 64 bytes, given
   * by the TEE; `hostData` 32 bytes, zero where it is not given.
   * @throws attest.invalid for other lengths
   */
  readonly attest: (claims: {
    readonly measurement: Uint8Array;
    readonly reportData: Uint8Array;
    readonly hostData?: Uint8Array;
  }) => WireEvidence;
};

/** SMT allowed, ABI 1.51; bit 17 is one in every policy. @see AMD 56860 rev. 1.58 (SEV-SNP ABI) section 4.3 */
const GUEST_POLICY = 0x3_0133n;

/**
 * Opens the simulated platform of a folder that `saveSimulationPki` wrote.
 * @throws attest.platform
 */
export function openSimulatedPlatform(directory: string): SimulatedPlatform {
  return simulatedPlatformOf(loadSimulationPki(directory));
}

/** The simulated platform of a chip in memory. */
export function simulatedPlatformOf(pki: SimulationPki): SimulatedPlatform {
  const reportId = new Uint8Array(randomBytes(32));
  return {
    root: pki.ark,
    attest: ({ measurement, reportData, hostData = new Uint8Array(32) }) => {
      requireLength("measurement", measurement, 48);
      requireLength("reportData", reportData, 64);
      requireLength("hostData", hostData, 32);
      const report = reportOf(pki, { measurement, reportData, hostData, reportId });
      return {
        type: "sim-snp",
        evidence: toBase64Url(signReport(report, pki)),
        collateral: { ask: toBase64Url(pki.ask), vcek: toBase64Url(pki.vcek) },
      };
    },
  };
}

/** Signs a report with the chip's key: its 1184 bytes. */
export function signReport(
  report: Omit<SnpReport, "signature">,
  pki: Pick<SimulationPki, "vcekKey">,
): Uint8Array {
  const empty = { r: new Uint8Array(48), s: new Uint8Array(48) };
  const unsigned = encodeSnpReport({ ...report, signature: empty });
  const signature = sign("sha384", unsigned.subarray(0, SNP_SIGNED_BYTES), {
    key: pki.vcekKey,
    dsaEncoding: "ieee-p1363",
  });
  return encodeSnpReport({
    ...report,
    signature: {
      r: new Uint8Array(signature.subarray(0, 48)),
      s: new Uint8Array(signature.subarray(48)),
    },
  });
}

/** An unsigned report of version 3 for this chip. */
export function reportOf(
  pki: Pick<SimulationPki, "chip">,
  claims: Pick<SnpReport, "measurement" | "reportData" | "hostData" | "reportId">,
): Omit<SnpReport, "signature"> {
  const tcb = encodeSnpTcb(pki.chip.tcb);
  const firmware = { build: 0, minor: 55, major: 1 };
  return {
    ...claims,
    version: 3,
    guestSvn: 0,
    policy: GUEST_POLICY,
    familyId: new Uint8Array(16),
    imageId: new Uint8Array(16),
    vmpl: 0,
    signatureAlgo: SNP_ECDSA_P384_SHA384,
    currentTcb: tcb,
    platformInfo: 1n,
    signingKey: "vcek",
    maskChipKey: false,
    authorKeyEn: false,
    idKeyDigest: new Uint8Array(48),
    authorKeyDigest: new Uint8Array(48),
    reportIdMa: new Uint8Array(32).fill(0xff),
    reportedTcb: tcb,
    // Genoa.
    cpuid: { famId: 0x19, modId: 0x11, step: 1 },
    chipId: pki.chip.hwId,
    committedTcb: tcb,
    currentVersion: firmware,
    committedVersion: firmware,
    launchTcb: tcb,
    mitVectors: null,
  };
}

function requireLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.byteLength !== length)
    throw new PpmlError(
      "attest.invalid",
      `expected ${length} bytes of ${what}, got ${bytes.byteLength}`,
    );
}
