import { equalBytes, fromUtf8, PpmlError } from "../../base/index.ts";

const MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 8;
const MAX_ITEMS = 1000;

/**
 * One CBOR data item. Integers of any sign are bigint; a map keeps its order; `encoded` is the whole
 * item. Floats, undefined and indefinite lengths are not read.
 */
export type CborValue =
  | { readonly kind: "integer"; readonly value: bigint; readonly encoded: Uint8Array }
  | { readonly kind: "bytes"; readonly value: Uint8Array; readonly encoded: Uint8Array }
  | { readonly kind: "text"; readonly value: string; readonly encoded: Uint8Array }
  | { readonly kind: "array"; readonly value: readonly CborValue[]; readonly encoded: Uint8Array }
  | { readonly kind: "map"; readonly value: readonly CborEntry[]; readonly encoded: Uint8Array }
  | {
      readonly kind: "tag";
      readonly tag: bigint;
      readonly value: CborValue;
      readonly encoded: Uint8Array;
    }
  | { readonly kind: "simple"; readonly value: boolean | null; readonly encoded: Uint8Array };

/** A key and its value; keys are integers or text. */
export type CborEntry = { readonly key: bigint | string; readonly value: CborValue };

/**
 * Reads exactly one data item that fills `bytes` (at most 1 MiB, 8 levels, 1,000 items in one), in
 * deterministic encoding: shortest heads, definite lengths, map keys ascending and none twice.
 * @throws attest.invalid
 * @see RFC 8949 sections 3 and 4.2.1
 */
export function readCbor(bytes: Uint8Array): CborValue {
  if (bytes.byteLength > MAX_BYTES) throw invalid(`over ${MAX_BYTES} bytes`);
  const value = readItem(bytes, 0, MAX_DEPTH);
  const rest = bytes.byteLength - value.encoded.byteLength;
  if (rest !== 0) throw invalid(`${rest} bytes after the end`);
  return value;
}

/** The value under a key of a map, or undefined. @throws attest.invalid where `map` is none */
export function cborEntry(map: CborValue, key: number | string): CborValue | undefined {
  if (map.kind !== "map") throw invalid(`expected a map, got ${map.kind}`);
  const wanted = typeof key === "number" ? BigInt(key) : key;
  return map.value.find((entry) => entry.key === wanted)?.value;
}

function readItem(bytes: Uint8Array, start: number, depth: number): CborValue {
  if (depth === 0) throw invalid(`more than ${MAX_DEPTH} levels`);
  const head = readHead(bytes, start);
  const { argument, next } = head;
  switch (head.major) {
    case 0:
      return { kind: "integer", value: argument, encoded: bytes.subarray(start, next) };
    case 1:
      return { kind: "integer", value: -1n - argument, encoded: bytes.subarray(start, next) };
    case 2:
    case 3:
      return readString(bytes, start, head);
    case 4:
      return readArray(bytes, start, { ...head, depth });
    case 5:
      return readMap(bytes, start, { ...head, depth });
    case 6: {
      const value = readItem(bytes, next, depth - 1);
      const end = next + value.encoded.byteLength;
      return { kind: "tag", tag: argument, value, encoded: bytes.subarray(start, end) };
    }
    default: {
      // RFC 8949 section 3.3: 20 false, 21 true, 22 null.
      const simple = new Map<bigint, boolean | null>([
        [20n, false],
        [21n, true],
        [22n, null],
      ]).get(argument);
      if (simple === undefined || next !== start + 1) throw invalid("a float or a simple value");
      return { kind: "simple", value: simple, encoded: bytes.subarray(start, next) };
    }
  }
}

function readString(bytes: Uint8Array, start: number, head: Head): CborValue {
  const { argument, next } = head;
  if (argument > BigInt(bytes.byteLength - next)) throw invalid("a string longer than its bytes");
  const end = next + Number(argument);
  const encoded = bytes.subarray(start, end);
  const value = bytes.subarray(next, end);
  if (head.major === 2) return { kind: "bytes", value, encoded };
  try {
    return { kind: "text", value: fromUtf8(value), encoded };
  } catch (cause) {
    throw new PpmlError("attest.invalid", "not valid CBOR: text that is not UTF-8", { cause });
  }
}

function readArray(bytes: Uint8Array, start: number, head: Head & { depth: number }): CborValue {
  let next = head.next;
  const value: CborValue[] = [];
  for (const count = itemCount(head.argument); value.length < count;) {
    const item = readItem(bytes, next, head.depth - 1);
    value.push(item);
    next += item.encoded.byteLength;
  }
  return { kind: "array", value, encoded: bytes.subarray(start, next) };
}

function readMap(bytes: Uint8Array, start: number, head: Head & { depth: number }): CborValue {
  let next = head.next;
  let previous: Uint8Array | null = null;
  const value: CborEntry[] = [];
  for (const count = itemCount(head.argument); value.length < count;) {
    const key = readItem(bytes, next, head.depth - 1);
    if (key.kind !== "integer" && key.kind !== "text")
      throw invalid("a map key that is neither an integer nor text");
    // RFC 8949 4.2.1: "The keys in every map MUST be sorted in the bytewise lexicographic order of their deterministic encodings."
    if (
      previous !== null &&
      (equalBytes(previous, key.encoded) || Buffer.compare(previous, key.encoded) > 0)
    )
      throw invalid("map keys that are not ascending");
    previous = key.encoded;
    const item = readItem(bytes, next + key.encoded.byteLength, head.depth - 1);
    value.push({ key: key.value, value: item });
    next += key.encoded.byteLength + item.encoded.byteLength;
  }
  return { kind: "map", value, encoded: bytes.subarray(start, next) };
}

type Head = { readonly major: number; readonly argument: bigint; readonly next: number };

/** RFC 8949 section 3: three bits of major type, five of argument or of its length. */
function readHead(bytes: Uint8Array, start: number): Head {
  const first = bytes[start];
  if (first === undefined) throw invalid("the item is cut");
  const [major, info] = [first >>> 5, first & 0x1f];
  if (info < 24) return { major, argument: BigInt(info), next: start + 1 };
  if (info > 27) throw invalid("an indefinite or reserved length");
  const size = 1 << (info - 24);
  const next = start + 1 + size;
  if (next > bytes.byteLength) throw invalid("the head is cut");
  let argument = 0n;
  for (const byte of bytes.subarray(start + 1, next)) argument = argument * 256n + BigInt(byte);
  if (argument < (size === 1 ? 24n : 1n << BigInt(4 * size)))
    throw invalid("a head that is not in its shortest form");
  return { major, argument, next };
}

function itemCount(argument: bigint): number {
  if (argument > MAX_ITEMS) throw invalid(`more than ${MAX_ITEMS} items in one`);
  return Number(argument);
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `not valid CBOR: ${what}`);
}
