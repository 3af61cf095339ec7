import type { SnpGuestPolicy, SnpProduct, SnpTcb } from "./snp-fields.ts";
import type { SnpReport } from "./snp-report.ts";

/** What verification found besides the report's own fields. */
export type SnpVerification = {
  readonly product: SnpProduct;
  /** The kind of key that signed the report: of this chip, or loaded by a cloud provider. */
  readonly signingKey: "vcek" | "vlek";
  /** 64 bytes; null where the report does not tell its chip (a VLEK's may not). */
  readonly chipId: Uint8Array | null;
  /** The VLEK's cloud provider, as in "CN=cc-us-east-2.amazonaws.com"; null for a VCEK. */
  readonly cspId: string | null;
  readonly guestPolicy: SnpGuestPolicy;
  readonly tcb: {
    /** Of the firmware that runs now. */
    readonly current: SnpTcb;
    /** That the host lets its guests see; the signing key is derived for it. */
    readonly reported: SnpTcb;
    /** Below which the firmware cannot be rolled back. */
    readonly committed: SnpTcb;
    /** When the guest was started. */
    readonly launch: SnpTcb;
  };
  /** The last millisecond at which the whole chain is valid. */
  readonly validUntilMs: number;
  /** True where AMD's revocation list was given and looked at. */
  readonly revocationChecked: boolean;
};

/** What a utility VM's vendor says of the launch measurement; its signature and issuer were checked. */
export type UvmReference = {
  /** did:x509 of who endorses; which ones are trusted is the policy's to say. */
  readonly issuer: string;
  readonly feed: string;
  /** Grows with every release: the policy's lowest one keeps out older VMs. */
  readonly svn: number;
  /** 48 bytes, equal to the report's MEASUREMENT. */
  readonly launchMeasurement: Uint8Array;
  /** By the signer's word: milliseconds since 1970. */
  readonly signedAtMs: number;
};

/** Evidence of an SEV-SNP guest: its report, and in confidential containers its VM's endorsement. */
export type SnpEvidence = {
  readonly type: "snp";
  readonly report: SnpReport;
  readonly snp: SnpVerification;
  /** Null where none was sent. */
  readonly uvm: UvmReference | null;
};
