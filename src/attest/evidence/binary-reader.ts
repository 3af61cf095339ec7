import { PpmlError } from "../../base/index.ts";

/** Reads a structure from its start on. Every read checks its bounds (attest.invalid). */
export type BinaryReader = {
  readonly u8: () => number;
  readonly u16: () => number;
  readonly u32: () => number;
  readonly u64: () => bigint;
  /** The next `length` bytes, copied. */
  readonly take: (length: number) => Uint8Array;
  /** The next `length` bytes, as a view. */
  readonly view: (length: number) => Uint8Array;
  /** Gives `length` back. @throws attest.invalid where it is over `max` */
  readonly bounded: (length: number, max: number) => number;
  /** Refuses bytes that are left over. */
  readonly end: () => void;
};

/** Opens a structure, whose integers are of one byte order; `what` names it in errors. */
export function openBinaryReader(
  bytes: Uint8Array,
  of: { readonly what: string; readonly byteOrder: "little-endian" | "big-endian" },
): BinaryReader {
  const { what } = of;
  const little = of.byteOrder === "little-endian";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  const advance = (length: number): number => {
    if (length > bytes.byteLength - offset)
      throw invalid(
        `${what} is cut: ${length} bytes are to follow at ${offset}, ${bytes.byteLength - offset} are there`,
      );
    offset += length;
    return offset - length;
  };
  return {
    u8: () => view.getUint8(advance(1)),
    u16: () => view.getUint16(advance(2), little),
    u32: () => view.getUint32(advance(4), little),
    u64: () => view.getBigUint64(advance(8), little),
    // Not `slice`: that of a Buffer does not copy.
    take: (length) => new Uint8Array(bytes.subarray(advance(length), offset)),
    view: (length) => bytes.subarray(advance(length), offset),
    bounded: (length, max) => {
      if (length <= max) return length;
      throw invalid(`${what} has a field of ${length} bytes, expected at most ${max}`);
    },
    end: () => {
      if (offset !== bytes.byteLength)
        throw invalid(`${what} has ${bytes.byteLength - offset} bytes after its end`);
    },
  };
}

function invalid(message: string): PpmlError {
  return new PpmlError("attest.invalid", message);
}
