import { PpmlError } from "../../base/index.ts";

/** Reads a TPM structure from its start on: integers are big-endian. Every read checks its bounds. */
export type TpmReader = {
  readonly u8: () => number;
  readonly u16: () => number;
  readonly u32: () => number;
  readonly u64: () => bigint;
  /** The next `length` bytes, copied. */
  readonly take: (length: number) => Uint8Array;
  /** A TPM2B: u16 length, at most `max`, then its bytes, copied. */
  readonly sized: (max: number) => Uint8Array;
  /** Refuses bytes that are left over. */
  readonly end: () => void;
};

/**
 * Opens a structure; `what` names it in errors (attest.invalid).
 * @see TPM 2.0 Library Part 1 (rev. 1.59) section "Byte order", Part 2 section 10.4 (TPM2B)
 */
export function openTpmReader(bytes: Uint8Array, what: string): TpmReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  const advance = (length: number): number => {
    if (length > bytes.byteLength - offset)
      throw new PpmlError(
        "attest.invalid",
        `the ${what} is cut: expected ${length} bytes at ${offset}, got ${bytes.byteLength - offset}`,
      );
    offset += length;
    return offset - length;
  };
  const take = (length: number): Uint8Array => {
    const start = advance(length);
    return Uint8Array.from(bytes.subarray(start, start + length));
  };
  return {
    u8: () => view.getUint8(advance(1)),
    u16: () => view.getUint16(advance(2)),
    u32: () => view.getUint32(advance(4)),
    u64: () => view.getBigUint64(advance(8)),
    take,
    sized: (max) => {
      const length = view.getUint16(advance(2));
      if (length > max)
        throw new PpmlError(
          "attest.invalid",
          `the ${what} has a field of ${length} bytes, expected at most ${max}`,
        );
      return take(length);
    },
    end: () => {
      if (offset !== bytes.byteLength)
        throw new PpmlError(
          "attest.invalid",
          `the ${what} has ${bytes.byteLength - offset} bytes after its end`,
        );
    },
  };
}
