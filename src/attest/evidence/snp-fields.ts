import { PpmlError } from "../../base/index.ts";
import type { SnpCpuid, SnpReport } from "./snp-report.ts";

/** AMD's product lines with keys of their own. @see AMD 57230 (VCEK), product_name */
export const SNP_PRODUCTS = ["Milan", "Genoa", "Turin"] as const;
export type SnpProduct = (typeof SNP_PRODUCTS)[number];

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

/**
 * The product line of a CPUID. Bergamo and Siena (family 19h, models A0h to AFh) have Genoa's keys.
 * @throws attest.unsupported
 * @see AMD 57230 (VCEK), product_name; family and model as in CPUID Fn0000_0001_EAX
 */
export function snpProductOfCpuid({ famId, modId }: SnpCpuid): SnpProduct {
  if (famId === 0x19 && modId <= 0x0f) return "Milan";
  if (famId === 0x19 && ((modId >= 0x10 && modId <= 0x1f) || modId >>> 4 === 0xa)) return "Genoa";
  if (famId === 0x1a && modId <= 0x1f) return "Turin";
  throw new PpmlError(
    "attest.unsupported",
    `expected a report of Milan, Genoa or Turin, got CPUID family 0x${famId.toString(16)}, model 0x${modId.toString(16)}`,
  );
}

/**
 * The product line of a certificate's product name: the part before a stepping, as in "Milan-B0".
 * @throws attest.unsupported
 * @see AMD 57230 (VCEK), product_name
 */
export function snpProductOfName(name: string): SnpProduct {
  const line = SNP_PRODUCTS.find((product) => name === product || name.startsWith(`${product}-`));
  if (line !== undefined) return line;
  throw new PpmlError(
    "attest.unsupported",
    `expected a certificate of Milan, Genoa or Turin, got the product "${name}"`,
  );
}

/** AMD's names of the bits of POLICY, counted from bit 16. @see AMD 56860 rev. 1.58 (SEV-SNP ABI) section 4.3 */
const POLICY_BITS: Readonly<Record<number, string>> = {
  0: "SMT",
  2: "MIGRATE_MA",
  3: "DEBUG",
  4: "SINGLE_SOCKET",
  5: "CXL_ALLOW",
  6: "MEM_AES_256_XTS",
  7: "RAPL_DIS",
  8: "CIPHERTEXT_HIDING_DRAM",
  9: "PAGE_SWAP_DISABLE",
};

/** AMD's names of the bits of PLATFORM_INFO. @see AMD 56860 rev. 1.58 (SEV-SNP ABI), PLATFORM_INFO of the attestation report */
const PLATFORM_INFO_BITS: Readonly<Record<number, string>> = {
  0: "SMT_EN",
  1: "TSME_EN",
  2: "ECC_EN",
  3: "RAPL_DIS",
  4: "CIPHERTEXT_HIDING_DRAM_EN",
  5: "ALIAS_CHECK_COMPLETE",
  7: "SEV_TIO_EN",
};

/** The bits that a u64 POLICY sets, by AMD's names, but for bit 17, which is always one. */
export function snpPolicyBits(policy: bigint): readonly string[] {
  // Bits 15:0 are the least version of the ABI.
  return bitNames((policy >> 16n) & ~2n, POLICY_BITS);
}

/** The bits that a u64 PLATFORM_INFO sets, by AMD's names; those that have none by their number. */
export function snpPlatformInfoBits(platformInfo: bigint): readonly string[] {
  return bitNames(platformInfo, PLATFORM_INFO_BITS);
}

function bitNames(value: bigint, names: Readonly<Record<number, string>>): readonly string[] {
  return Array.from({ length: 64 }, (_none, bit) => bit)
    .filter((bit) => ((value >> BigInt(bit)) & 1n) === 1n)
    .map((bit) => names[bit] ?? `bit ${bit}`);
}

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
  return parseSnpTcbOf(tcb, report.cpuid?.famId === 0x1a ? "Turin" : "Genoa");
}

/**
 * Reads a u64 TCB_VERSION in the layout of a product.
 * @throws attest.invalid where a reserved byte is not zero
 * @see AMD 56860 rev. 1.58 (SEV-SNP ABI) section 2.2
 */
export function parseSnpTcbOf(tcb: bigint, product: SnpProduct): SnpTcb {
  const byte = (index: number): number => Number((tcb >> BigInt(8 * index)) & 0xffn);
  const turin = product === "Turin";
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
