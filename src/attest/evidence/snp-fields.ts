import { PpmlError } from "../../base/index.ts";
import type { SnpReport } from "./snp-report.ts";

/** The bits of a guest's POLICY. @see AMD 56860 rev. 1.58 (SEV-SNP ABI) section 4.3 */
export type SnpGuestPolicy = {
  readonly abiMinor: number;
  readonly abiMajor: number;
  /** SMT is allowed. */
  readonly smt: boolean;
  /** A migration agent is allowed. */
  readonly migrateMa: boolean;
  /** The host may read and write the guest's memory. */
  readonly debug: boolean;
  readonly singleSocket: boolean;
};

/** Security version numbers of a TCB_VERSION, one byte each. @see AMD 56860 rev. 1.58 (SEV-SNP ABI) section 2.2 */
export type SnpTcb = {
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
  /** Turin only; null elsewhere. */
  readonly fmc: number | null;
};

/** Reads the u64 POLICY. @see AMD 56860 rev. 1.58 (SEV-SNP ABI) section 4.3 */
export function parseSnpGuestPolicy(policy: bigint): SnpGuestPolicy {
  const bit = (index: bigint): boolean => ((policy >> index) & 1n) === 1n;
  return {
    abiMinor: Number(policy & 0xffn),
    abiMajor: Number((policy >> 8n) & 0xffn),
    smt: bit(16n),
    migrateMa: bit(18n),
    debug: bit(19n),
    singleSocket: bit(20n),
  };
}

/**
 * Reads a u64 TCB_VERSION in the layout of the report's product: Turin (CPUID family 1Ah) begins
 * with FMC, Milan and Genoa do not have it.
 * @throws attest.invalid where a reserved byte is not zero
 * @see AMD 56860 rev. 1.58 (SEV-SNP ABI) section 2.2
 */
export function parseSnpTcb(tcb: bigint, report: Pick<SnpReport, "cpuid">): SnpTcb {
  const byte = (index: number): number => Number((tcb >> BigInt(8 * index)) & 0xffn);
  const turin = report.cpuid?.famId === 0x1a;
  for (const reserved of turin ? [4, 5, 6] : [2, 3, 4, 5])
    if (byte(reserved) !== 0)
      throw new PpmlError(
        "attest.invalid",
        `expected zero in byte ${reserved} of the TCB version, got ${byte(reserved)}`,
      );
  return turin
    ? { fmc: byte(0), bootloader: byte(1), tee: byte(2), snp: byte(3), microcode: byte(7) }
    : { fmc: null, bootloader: byte(0), tee: byte(1), snp: byte(6), microcode: byte(7) };
}

/** Encodes a TCB_VERSION as u64, Turin's layout where `fmc` is given. */
export function encodeSnpTcb(tcb: SnpTcb): bigint {
  const bytes =
    tcb.fmc === null
      ? [tcb.bootloader, tcb.tee, 0, 0, 0, 0, tcb.snp, tcb.microcode]
      : [tcb.fmc, tcb.bootloader, tcb.tee, tcb.snp, 0, 0, 0, tcb.microcode];
  return bytes.reduce((sum, value, index) => sum | (BigInt(value) << BigInt(8 * index)), 0n);
}
