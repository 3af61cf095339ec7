import type { Verified } from "../verify/verified.ts";
import type { HclVmConfiguration } from "./hcl-runtime-data.ts";
import type { SnpVerification } from "./snp-evidence.ts";
import type { SnpReport } from "./snp-report.ts";
import type { TpmClockInfo } from "./tpm-attest.ts";

/** What a vTPM's quote says, by a key that the hardware's report binds. */
export type VtpmVerification = {
  /** The quote's qualifying data. */
  readonly extraData: Uint8Array;
  /** PCRs of the SHA-256 bank that the quote covers, by index; 32 bytes each. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly clockInfo: TpmClockInfo;
  readonly firmwareVersion: bigint;
  /** SHA-256 of the attestation key's SubjectPublicKeyInfo. */
  readonly attestationKeySha256: Uint8Array;
  readonly vmConfiguration: HclVmConfiguration;
  /** 64 bytes that the guest chose; null where the report has none. */
  readonly userData: Uint8Array | null;
};

/** Evidence of an Azure confidential VM on SEV-SNP, in CoCo's words: its vTPM speaks for the guest. */
export type AzSnpVtpmEvidence = {
  readonly type: "az-snp-vtpm";
  /** The paravisor's report: measurement and report data are its own, not the guest's. */
  readonly report: SnpReport;
  readonly snp: SnpVerification;
  readonly vtpm: VtpmVerification;
};

/** Evidence of an Azure confidential VM on TDX; `Q` is a verified TD quote's Evidence. */
export type AzTdxVtpmEvidence<Q> = {
  readonly type: "az-tdx-vtpm";
  /** The TD quote, whose report data is the paravisor's. */
  readonly tdQuote: Verified<Q>;
  readonly vtpm: VtpmVerification;
};
