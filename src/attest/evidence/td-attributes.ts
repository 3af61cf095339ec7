/** The bits of a TD's ATTRIBUTES that attestation judges. @see Intel TDX Module ABI Specification 348551-008US, table 3.23 */
export type TdAttributes = {
  /** The host may read and write the TD's state and memory. Bit 0. */
  readonly debug: boolean;
  /** Some of the profiling bits 4 to 6 are set: the host sees more of the TD's run than it must. */
  readonly profiling: boolean;
  /** ICSSD, bit 16: defence against single-stepping by counting instructions. */
  readonly icssd: boolean;
  /** SERVTD_EXT, bit 17: the report's service TD hash is the extended one. */
  readonly serviceTdExtended: boolean;
  /** LASS, bit 27: linear address space separation. */
  readonly lass: boolean;
  /** SEPT_VE_DISABLE, bit 28: the host cannot inject #VE by taking pages away. */
  readonly septVeDisable: boolean;
  /** MIGRATABLE, bit 29: a migration TD can take the TD elsewhere. */
  readonly migratable: boolean;
  /** PKS, bit 30: supervisor protection keys. */
  readonly pks: boolean;
  /** KL, bit 31: Key Locker. */
  readonly keyLocker: boolean;
  /** TPA, bit 62: the TD is a TDX Connect provisioning agent. */
  readonly tpa: boolean;
  /** PERFMON, bit 63: performance counters. */
  readonly perfmon: boolean;
  /** Bits that a verifier has to refuse, those that table 3.23 reserves: zero where all is well. */
  readonly reserved: bigint;
};

/** Bits 1-3, 7-15, 23-26 and 32-61. @see Intel TDX Module ABI Specification 348551-008US, table 3.23 */
const RESERVED = bits(1n, 3n) | bits(7n, 15n) | bits(23n, 26n) | bits(32n, 61n);

/** Reads 8 bytes of TD ATTRIBUTES. */
export function parseTdAttributes(bytes: Uint8Array): TdAttributes {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value = view.getBigUint64(0, true);
  const bit = (index: bigint): boolean => ((value >> index) & 1n) === 1n;
  return {
    debug: bit(0n),
    profiling: (value & bits(4n, 6n)) !== 0n,
    icssd: bit(16n),
    serviceTdExtended: bit(17n),
    lass: bit(27n),
    septVeDisable: bit(28n),
    migratable: bit(29n),
    pks: bit(30n),
    keyLocker: bit(31n),
    tpa: bit(62n),
    perfmon: bit(63n),
    reserved: value & RESERVED,
  };
}

function bits(from: bigint, to: bigint): bigint {
  return (1n << (to + 1n)) - (1n << from);
}
