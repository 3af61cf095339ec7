import { PpmlError } from "../../base/index.ts";

/** Length of an ATTESTATION_REPORT in bytes. @see AMD 56860 rev. 1.58 (SEV-SNP ABI) table 23 */
export const SNP_REPORT_BYTES = 1184;

/** The signature covers the report's first 672 bytes. @see AMD 56860 table 23, offset 2A0h */
export const SNP_SIGNED_BYTES = 0x2a0;

/** SIGNATURE_ALGO of ECDSA P-384 with SHA-384, the only one there is. @see AMD 56860 rev. 1.58, SIGNATURE_ALGO encodings */
export const SNP_ECDSA_P384_SHA384 = 1;

/**
 * Versions that parse. Published revisions describe 2, 3 and 5; hosts give 4 as well (those with
 * firmware 1.55.31), in the layout of 3. @see AMD 56860 rev. 1.58 (SEV-SNP ABI) table 23, VERSION
 */
const VERSIONS = [2, 3, 4, 5] as const;
export type SnpReportVersion = (typeof VERSIONS)[number];

/** The key that signed a report. @see AMD 56860 table 23, SIGNING_KEY */
export type SnpSigningKey = "vcek" | "vlek" | "none";

/**
 * An SEV-SNP ATTESTATION_REPORT with AMD's field names; u64 fields are bigint, arrays their bytes.
 * Nothing here is verified. @see AMD 56860 rev. 1.58 (SEV-SNP ABI) table 23
 */
export type SnpReport = {
  readonly version: SnpReportVersion;
  readonly guestSvn: number;
  /** @see parseSnpGuestPolicy */
  readonly policy: bigint;
  /** 16 bytes. */
  readonly familyId: Uint8Array;
  /** 16 bytes. */
  readonly imageId: Uint8Array;
  /** 0 to 3 for a guest's request. */
  readonly vmpl: number;
  readonly signatureAlgo: number;
  /** TCB_VERSION. @see parseSnpTcb */
  readonly currentTcb: bigint;
  readonly platformInfo: bigint;
  readonly signingKey: SnpSigningKey;
  readonly maskChipKey: boolean;
  readonly authorKeyEn: boolean;
  /** 64 bytes, given by the guest. */
  readonly reportData: Uint8Array;
  /** 48 bytes: the launch digest. */
  readonly measurement: Uint8Array;
  /** 32 bytes, given by the host at launch. */
  readonly hostData: Uint8Array;
  /** 48 bytes. */
  readonly idKeyDigest: Uint8Array;
  /** 48 bytes. */
  readonly authorKeyDigest: Uint8Array;
  /** 32 bytes. */
  readonly reportId: Uint8Array;
  /** 32 bytes. */
  readonly reportIdMa: Uint8Array;
  /** TCB_VERSION that the signing key was derived for. */
  readonly reportedTcb: bigint;
  /** CPUID family, model and stepping; null in version 2, which has none. */
  readonly cpuid: SnpCpuid | null;
  /** 64 bytes; zero where MASK_CHIP_ID is set. */
  readonly chipId: Uint8Array;
  readonly committedTcb: bigint;
  readonly currentVersion: SnpFirmwareVersion;
  readonly committedVersion: SnpFirmwareVersion;
  readonly launchTcb: bigint;
  /** LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR; null below version 5. */
  readonly mitVectors: { readonly launch: bigint; readonly current: bigint } | null;
  /** ECDSA r and s, 48 bytes each, most significant byte first. */
  readonly signature: { readonly r: Uint8Array; readonly s: Uint8Array };
};

/** CPUID_FAM_ID, CPUID_MOD_ID, CPUID_STEP: one byte each. */
export type SnpCpuid = {
  readonly famId: number;
  readonly modId: number;
  readonly step: number;
};

/** Firmware version: one byte each. */
export type SnpFirmwareVersion = {
  readonly build: number;
  readonly minor: number;
  readonly major: number;
};

const SIGNING_KEYS: Readonly<Record<number, SnpSigningKey>> = { 0: "vcek", 1: "vlek", 7: "none" };

/** Fields that MUST be zero: [from, to). @see AMD 56860 table 23, "Reserved" */
const RESERVED: readonly (readonly [number, number])[] = [
  [0x4c, 0x50],
  [0x18b, 0x1a0],
  [0x1eb, 0x1ec],
  [0x1ef, 0x1f0],
  [0x208, 0x2a0],
  // AMD 56860 rev. 1.58, format of an ECDSA P-384 signature: R and S are 72 bytes, zero above the 48 of P-384, then 368 reserved.
  [0x2d0, 0x2e8],
  [0x318, 0x4a0],
];

/**
 * Parses a report of exactly 1184 bytes; reserved fields have to be zero, so that every byte either
 * has a meaning or is refused. Versions: 2, 3 and 4 (CPUID), 5 (mitigation vectors).
 * @throws attest.invalid, attest.unsupported
 * @see AMD 56860 rev. 1.58 (SEV-SNP ABI) table 23
 */
export function parseSnpReport(bytes: Uint8Array): SnpReport {
  if (bytes.byteLength !== SNP_REPORT_BYTES)
    throw new PpmlError(
      "attest.invalid",
      `expected an SNP report of ${SNP_REPORT_BYTES} bytes, got ${bytes.byteLength}`,
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = parseVersion(view.getUint32(0, true));
  requireZero(bytes, version);
  // Not slice(): a Buffer's is a view of the same memory.
  const take = (offset: number, length: number): Uint8Array =>
    new Uint8Array(bytes.subarray(offset, offset + length));
  return {
    version,
    guestSvn: view.getUint32(0x4, true),
    policy: parsePolicy(view.getBigUint64(0x8, true)),
    familyId: take(0x10, 16),
    imageId: take(0x20, 16),
    vmpl: view.getUint32(0x30, true),
    signatureAlgo: view.getUint32(0x34, true),
    currentTcb: view.getBigUint64(0x38, true),
    platformInfo: view.getBigUint64(0x40, true),
    ...parseKeyInfo(view.getUint32(0x48, true)),
    reportData: take(0x50, 64),
    measurement: take(0x90, 48),
    hostData: take(0xc0, 32),
    idKeyDigest: take(0xe0, 48),
    authorKeyDigest: take(0x110, 48),
    reportId: take(0x140, 32),
    reportIdMa: take(0x160, 32),
    reportedTcb: view.getBigUint64(0x180, true),
    cpuid:
      version === 2
        ? null
        : {
            famId: view.getUint8(0x188),
            modId: view.getUint8(0x189),
            step: view.getUint8(0x18a),
          },
    chipId: take(0x1a0, 64),
    committedTcb: view.getBigUint64(0x1e0, true),
    currentVersion: parseFirmwareVersion(view, 0x1e8),
    committedVersion: parseFirmwareVersion(view, 0x1ec),
    launchTcb: view.getBigUint64(0x1f0, true),
    mitVectors:
      version === 5
        ? { launch: view.getBigUint64(0x1f8, true), current: view.getBigUint64(0x200, true) }
        : null,
    signature: { r: take(0x2a0, 48).toReversed(), s: take(0x2e8, 48).toReversed() },
  };
}

/**
 * Encodes a report: 1184 bytes. The inverse of `parseSnpReport`.
 * @see AMD 56860 rev. 1.58 (SEV-SNP ABI) table 23
 */
export function encodeSnpReport(report: SnpReport): Uint8Array {
  const bytes = new Uint8Array(SNP_REPORT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, report.version, true);
  view.setUint32(0x4, report.guestSvn, true);
  view.setBigUint64(0x8, report.policy, true);
  bytes.set(report.familyId, 0x10);
  bytes.set(report.imageId, 0x20);
  view.setUint32(0x30, report.vmpl, true);
  view.setUint32(0x34, report.signatureAlgo, true);
  view.setBigUint64(0x38, report.currentTcb, true);
  view.setBigUint64(0x40, report.platformInfo, true);
  view.setUint32(0x48, encodeKeyInfo(report), true);
  bytes.set(report.reportData, 0x50);
  bytes.set(report.measurement, 0x90);
  bytes.set(report.hostData, 0xc0);
  bytes.set(report.idKeyDigest, 0xe0);
  bytes.set(report.authorKeyDigest, 0x110);
  bytes.set(report.reportId, 0x140);
  bytes.set(report.reportIdMa, 0x160);
  view.setBigUint64(0x180, report.reportedTcb, true);
  if (report.cpuid !== null)
    bytes.set([report.cpuid.famId, report.cpuid.modId, report.cpuid.step], 0x188);
  bytes.set(report.chipId, 0x1a0);
  view.setBigUint64(0x1e0, report.committedTcb, true);
  bytes.set(firmwareBytes(report.currentVersion), 0x1e8);
  bytes.set(firmwareBytes(report.committedVersion), 0x1ec);
  view.setBigUint64(0x1f0, report.launchTcb, true);
  if (report.mitVectors !== null) {
    view.setBigUint64(0x1f8, report.mitVectors.launch, true);
    view.setBigUint64(0x200, report.mitVectors.current, true);
  }
  bytes.set(report.signature.r.toReversed(), 0x2a0);
  bytes.set(report.signature.s.toReversed(), 0x2e8);
  return bytes;
}

function parseVersion(version: number): SnpReportVersion {
  const known = VERSIONS.find((candidate) => candidate === version);
  if (known !== undefined) return known;
  throw new PpmlError(
    "attest.unsupported",
    `expected an SNP report of version ${VERSIONS.join(", ")}, got ${version}`,
  );
}

/** AMD 56860 rev. 1.58 section 4.3: bit 17 MUST be one, bits 63:26 MUST be zero. A bit that is not known could let the host in. */
function parsePolicy(policy: bigint): bigint {
  if (policy >> 26n !== 0n || ((policy >> 17n) & 1n) !== 1n)
    throw new PpmlError(
      "attest.invalid",
      `expected in the SNP report's POLICY bit 17 as one and bits 26 to 63 as zero, got 0x${policy.toString(16)}`,
    );
  return policy;
}

function requireZero(bytes: Uint8Array, version: SnpReportVersion): void {
  const ranges = [...RESERVED];
  if (version === 2) ranges.push([0x188, 0x18b]);
  if (version !== 5) ranges.push([0x1f8, 0x208]);
  for (const [from, to] of ranges)
    for (let offset = from; offset < to; offset += 1)
      if (bytes[offset] !== 0)
        throw new PpmlError(
          "attest.invalid",
          `expected zero in the SNP report's reserved byte at 0x${offset.toString(16)}`,
        );
}

/** AMD 56860 table 23, 48h: bit 0 AUTHOR_KEY_EN, bit 1 MASK_CHIP_KEY, bits 4:2 SIGNING_KEY. */
function parseKeyInfo(
  flags: number,
): Pick<SnpReport, "authorKeyEn" | "maskChipKey" | "signingKey"> {
  const signingKey = SIGNING_KEYS[(flags >>> 2) & 7];
  if (signingKey === undefined || flags >>> 5 !== 0)
    throw new PpmlError(
      "attest.invalid",
      `expected known key flags in the SNP report, got 0x${flags.toString(16)}`,
    );
  return { authorKeyEn: (flags & 1) !== 0, maskChipKey: (flags & 2) !== 0, signingKey };
}

function encodeKeyInfo(report: SnpReport): number {
  const signingKey = { vcek: 0, vlek: 1, none: 7 }[report.signingKey];
  return (report.authorKeyEn ? 1 : 0) | (report.maskChipKey ? 2 : 0) | (signingKey << 2);
}

function parseFirmwareVersion(view: DataView, offset: number): SnpFirmwareVersion {
  return {
    build: view.getUint8(offset),
    minor: view.getUint8(offset + 1),
    major: view.getUint8(offset + 2),
  };
}

function firmwareBytes(version: SnpFirmwareVersion): readonly number[] {
  return [version.build, version.minor, version.major];
}
