import { openBinaryReader } from "./binary-reader.ts";
import type { BinaryReader } from "./binary-reader.ts";

/** Reads a TPM structure: integers are big-endian. */
export type TpmReader = BinaryReader & {
  /** A TPM2B: u16 length, at most `max`, then its bytes, copied. */
  readonly sized: (max: number) => Uint8Array;
};

/**
 * Opens a structure; `what` names it in errors (attest.invalid).
 * @see TPM 2.0 Library Part 1 (rev. 1.59) section "Byte order", Part 2 section 10.4 (TPM2B)
 */
export function openTpmReader(bytes: Uint8Array, what: string): TpmReader {
  const reader = openBinaryReader(bytes, { what: `the ${what}`, byteOrder: "big-endian" });
  return { ...reader, sized: (max) => reader.take(reader.bounded(reader.u16(), max)) };
}
