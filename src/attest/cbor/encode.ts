import { concatBytes, PpmlError, unreachable, utf8 } from "../../base/index.ts";
import type { CborValue } from "./decode.ts";

const MAX_ARGUMENT = (1n << 64n) - 1n;

/**
 * Encodes a CBOR item with every head in its shortest form; map entries keep their order, which for
 * deterministic encoding has to be that of RFC 8949 section 4.2.1.
 * @throws attest.invalid for integers and tags over 64 bits
 * @see RFC 8949 section 3
 */
export function encodeCbor(value: CborValue): Uint8Array {
  switch (value.kind) {
    case "int":
      return value.value < 0n ? head(1, -1n - value.value) : head(0, value.value);
    case "bytes":
      return concatBytes(head(2, BigInt(value.value.byteLength)), value.value);
    case "text": {
      const bytes = utf8(value.value);
      return concatBytes(head(3, BigInt(bytes.byteLength)), bytes);
    }
    case "array":
      return concatBytes(head(4, BigInt(value.items.length)), ...value.items.map(encodeCbor));
    case "map":
      return concatBytes(
        head(5, BigInt(value.entries.length)),
        ...value.entries.flatMap((entry) => entry.map(encodeCbor)),
      );
    case "tag":
      return concatBytes(head(6, value.tag), encodeCbor(value.item));
    case "simple":
      return Uint8Array.of(0xe0 | simpleCode(value.value));
    default:
      return unreachable(value);
  }
}

function head(major: number, argument: bigint): Uint8Array {
  if (argument < 0n || argument > MAX_ARGUMENT)
    throw new PpmlError("attest.invalid", `expected a CBOR argument of 64 bits, got ${argument}`);
  if (argument < 24n) return Uint8Array.of((major << 5) | Number(argument));
  const width = [1, 2, 4].find((bytes) => argument < 1n << BigInt(8 * bytes)) ?? 8;
  const out = new Uint8Array(1 + width);
  out[0] = (major << 5) | (24 + Math.log2(width));
  for (let i = width, rest = argument; i > 0; i -= 1, rest >>= 8n) out[i] = Number(rest & 0xffn);
  return out;
}

function simpleCode(value: boolean | null | undefined): number {
  if (value === null) return 22;
  if (value === undefined) return 23;
  return value ? 21 : 20;
}
