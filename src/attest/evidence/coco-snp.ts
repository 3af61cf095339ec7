import { z } from "zod";
import { PpmlError, toBase64Url } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { encodeSnpTcb } from "./snp-fields.ts";
import { encodeSnpReport } from "./snp-report.ts";
import type { SnpReport } from "./snp-report.ts";

const MAX_CERTIFICATE_BYTES = 16 * 1024;

const u8 = z.int().min(0).max(0xff);
const u32 = z.int().min(0).max(0xffff_ffff);
/** Above 2^53 a JSON number is not exact here: it is refused, where a signature would fail anyway. */
const u64 = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const bytes = (length: number) =>
  z
    .array(u8)
    .length(length)
    .transform((values) => Uint8Array.from(values));

const tcb = z.strictObject({
  fmc: u8.nullable(),
  bootloader: u8,
  tee: u8,
  snp: u8,
  microcode: u8,
});
const firmware = z.strictObject({ major: u8, minor: u8, build: u8 });

/** The report's fields as the `sev` crate writes them (6.x), in the order of the report. */
const reportSchema = z.strictObject({
  version: z.union([z.literal(2), z.literal(3), z.literal(5)]),
  guest_svn: u32,
  policy: u64,
  family_id: bytes(16),
  image_id: bytes(16),
  vmpl: u32,
  sig_algo: u32,
  current_tcb: tcb,
  plat_info: u64,
  key_info: u32,
  report_data: bytes(64),
  measurement: bytes(48),
  host_data: bytes(32),
  id_key_digest: bytes(48),
  author_key_digest: bytes(48),
  report_id: bytes(32),
  report_id_ma: bytes(32),
  reported_tcb: tcb,
  cpuid_fam_id: u8.nullable(),
  cpuid_mod_id: u8.nullable(),
  cpuid_step: u8.nullable(),
  chip_id: bytes(64),
  committed_tcb: tcb,
  current: firmware,
  committed: firmware,
  launch_tcb: tcb,
  launch_mit_vector: u64.nullable(),
  current_mit_vector: u64.nullable(),
  signature: z.strictObject({ r: bytes(72), s: bytes(72) }),
});
type CocoReport = z.infer<typeof reportSchema>;

const entrySchema = z.strictObject({
  cert_type: z.union([
    z.enum(["Empty", "ARK", "ASK", "VCEK", "VLEK", "CRL"]),
    z.strictObject({ OTHER: z.string().max(40) }),
  ]),
  data: z.array(u8).max(MAX_CERTIFICATE_BYTES),
});

/**
 * The Evidence of a CoCo guest on SEV-SNP: the report as fields, and the host's certificates.
 * @see CoCo guest-components, attester/src/snp; virtee/sev 6.3, firmware::guest::AttestationReport, firmware::host::CertTableEntry
 */
export const cocoSnpSchema = z.strictObject({
  attestation_report: reportSchema,
  cert_chain: z.array(entrySchema).max(16).nullable(),
});

/** Writes the report's 1184 bytes again, which its signature covers, and names the certificates. @throws attest.invalid */
export function cocoSnpWire(evidence: z.infer<typeof cocoSnpSchema>): WireEvidence {
  const report = evidence.attestation_report;
  const collateral: Record<string, string> = {};
  for (const { cert_type: kind, data } of evidence.cert_chain ?? [])
    if (typeof kind === "string" && kind !== "Empty" && data.length > 0)
      collateral[kind.toLowerCase()] = toBase64Url(Uint8Array.from(data));
  return { type: "snp", evidence: toBase64Url(encodeSnpReport(reportOf(report))), collateral };
}

function reportOf(report: CocoReport): SnpReport {
  const { launch_mit_vector: launch, current_mit_vector: current } = report;
  return {
    version: report.version,
    guestSvn: report.guest_svn,
    policy: BigInt(report.policy),
    familyId: report.family_id,
    imageId: report.image_id,
    vmpl: report.vmpl,
    signatureAlgo: report.sig_algo,
    currentTcb: encodeSnpTcb(report.current_tcb),
    platformInfo: BigInt(report.plat_info),
    ...keyInfoOf(report.key_info),
    reportData: report.report_data,
    measurement: report.measurement,
    hostData: report.host_data,
    idKeyDigest: report.id_key_digest,
    authorKeyDigest: report.author_key_digest,
    reportId: report.report_id,
    reportIdMa: report.report_id_ma,
    reportedTcb: encodeSnpTcb(report.reported_tcb),
    cpuid: cpuidOf(report),
    chipId: report.chip_id,
    committedTcb: encodeSnpTcb(report.committed_tcb),
    currentVersion: report.current,
    committedVersion: report.committed,
    launchTcb: encodeSnpTcb(report.launch_tcb),
    mitVectors:
      launch === null || current === null
        ? null
        : { launch: BigInt(launch), current: BigInt(current) },
    signature: { r: p384(report.signature.r), s: p384(report.signature.s) },
  };
}

/** AMD 56860 rev. 1.58, table 23, 48h: bit 0 AUTHOR_KEY_EN, bit 1 MASK_CHIP_KEY, bits 4:2 SIGNING_KEY. */
function keyInfoOf(flags: number): Pick<SnpReport, "authorKeyEn" | "maskChipKey" | "signingKey"> {
  const signingKey = { 0: "vcek", 1: "vlek", 7: "none" } as const;
  const number = flags >>> 2;
  if (number !== 0 && number !== 1 && number !== 7)
    throw new PpmlError("attest.invalid", `expected known key flags, got ${flags}`);
  return {
    authorKeyEn: (flags & 1) !== 0,
    maskChipKey: (flags & 2) !== 0,
    signingKey: signingKey[number],
  };
}

function cpuidOf(report: CocoReport): SnpReport["cpuid"] {
  const { cpuid_fam_id: famId, cpuid_mod_id: modId, cpuid_step: step } = report;
  return famId === null || modId === null || step === null ? null : { famId, modId, step };
}

/** 72 bytes, least significant first, of which P-384 has 48. */
function p384(value: Uint8Array): Uint8Array {
  if (value.subarray(48).some((byte) => byte !== 0))
    throw new PpmlError("attest.invalid", "expected zero above a signature's 48 bytes");
  return value.slice(0, 48).toReversed();
}
