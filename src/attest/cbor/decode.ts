import { fromUtf8, PpmlError } from "../../base/index.ts";

/**
 * One CBOR data item as far as COSE and RA-TLS use CBOR: no floats, no indefinite lengths.
 * `bytes` are views of the input. @see RFC 8949 section 3
 */
export type CborValue =
  | { readonly kind: "int"; readonly value: bigint }
  | { readonly kind: "bytes"; readonly value: Uint8Array }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "array"; readonly items: readonly CborValue[] }
  | { readonly kind: "map"; readonly entries: readonly (readonly [CborValue, CborValue])[] }
  | { readonly kind: "tag"; readonly tag: bigint; readonly item: CborValue }
  | { readonly kind: "simple"; readonly value: boolean | null | undefined };

/** Longest input in bytes, deepest nesting, most items in one input. */
const MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 16;
const MAX_ITEMS = 10_000;

type Reader = { readonly bytes: Uint8Array; offset: number; items: number };

/**
 * Decodes exactly one CBOR item that fills `bytes`, at most 1 MiB, 16 levels and 10,000 items.
 * Map keys are integers or text, each once. Heads need not be in their shortest form: some writers
 * use a fixed width, and whoever signs or hashes CBOR does it over the bytes as they came.
 * @throws attest.invalid
 * @see RFC 8949 section 3
 */
export function decodeCbor(bytes: Uint8Array): CborValue {
  if (bytes.byteLength > MAX_BYTES)
    throw invalid(`expected at most ${MAX_BYTES} bytes, got ${bytes.byteLength}`);
  const reader: Reader = { bytes, offset: 0, items: 0 };
  const value = readItem(reader, 0);
  if (reader.offset !== bytes.byteLength)
    throw invalid(`${bytes.byteLength - reader.offset} bytes after the end`);
  return value;
}

/** The value of a map's key, an integer or text; undefined where the map has none. */
export function cborMapGet(
  map: CborValue & { readonly kind: "map" },
  key: bigint | string,
): CborValue | undefined {
  const kind = typeof key === "string" ? "text" : "int";
  return map.entries.find(([name]) => name.kind === kind && name.value === key)?.[1];
}

/**
 * Checks that a value is there and of the kind that its place demands.
 * @throws attest.invalid
 */
export function expectCbor<K extends CborValue["kind"]>(
  value: CborValue | undefined,
  kind: K,
): Extract<CborValue, { readonly kind: K }> {
  if (value === undefined || !isKind(value, kind))
    throw invalid(`expected ${kind}, got ${value?.kind ?? "nothing"}`);
  return value;
}

function isKind<K extends CborValue["kind"]>(
  value: CborValue,
  kind: K,
): value is Extract<CborValue, { readonly kind: K }> {
  return value.kind === kind;
}

function readItem(reader: Reader, depth: number): CborValue {
  if (depth > MAX_DEPTH) throw invalid(`nested deeper than ${MAX_DEPTH}`);
  reader.items += 1;
  if (reader.items > MAX_ITEMS) throw invalid(`more than ${MAX_ITEMS} items`);
  const first = readByte(reader);
  const major = first >>> 5;
  const info = first & 0x1f;
  if (major === 7) return readSimple(info);
  const argument = readArgument(reader, info);
  switch (major) {
    case 0:
      return { kind: "int", value: argument };
    case 1:
      return { kind: "int", value: -1n - argument };
    case 2:
      return { kind: "bytes", value: take(reader, argument) };
    case 3:
      return { kind: "text", value: readText(take(reader, argument)) };
    case 4:
      return { kind: "array", items: readItems(reader, argument, depth) };
    case 5:
      return { kind: "map", entries: readEntries(reader, argument, depth) };
    default:
      return { kind: "tag", tag: argument, item: readItem(reader, depth + 1) };
  }
}

/** RFC 8949 section 3: 0 to 23 are the argument itself, 24 to 27 say that 1, 2, 4 or 8 bytes follow. */
function readArgument(reader: Reader, info: number): bigint {
  if (info < 24) return BigInt(info);
  if (info === 31) throw invalid("an indefinite length");
  if (info > 27) throw invalid(`reserved additional information ${info}`);
  let argument = 0n;
  for (const byte of take(reader, BigInt(1 << (info - 24))))
    argument = (argument << 8n) | BigInt(byte);
  return argument;
}

/** RFC 8949 section 3.3: false, true, null and undefined; the rest are floats or unassigned. */
function readSimple(info: number): CborValue {
  if (info === 20 || info === 21) return { kind: "simple", value: info === 21 };
  if (info === 22) return { kind: "simple", value: null };
  if (info === 23) return { kind: "simple", value: undefined };
  throw invalid(`a float, break or unassigned simple value (additional information ${info})`);
}

function readItems(reader: Reader, count: bigint, depth: number): CborValue[] {
  const items: CborValue[] = [];
  for (let i = requireCount(reader, count); i > 0; i -= 1) items.push(readItem(reader, depth + 1));
  return items;
}

function readEntries(reader: Reader, count: bigint, depth: number): [CborValue, CborValue][] {
  const entries: [CborValue, CborValue][] = [];
  const seen = new Set<string>();
  for (let i = requireCount(reader, count); i > 0; i -= 1) {
    const key = readItem(reader, depth + 1);
    if (key.kind !== "int" && key.kind !== "text")
      throw invalid(`a map key that is neither integer nor text but ${key.kind}`);
    const name = `${key.kind} ${key.value}`;
    // RFC 8949 section 5.6: a map that has the same key twice is not valid.
    if (seen.has(name)) throw invalid(`the map key ${name} twice`);
    seen.add(name);
    entries.push([key, readItem(reader, depth + 1)]);
  }
  return entries;
}

/** An item takes at least one byte: a count over what is left is refused before anything is made. */
function requireCount(reader: Reader, count: bigint): number {
  if (count > BigInt(reader.bytes.byteLength - reader.offset))
    throw invalid(`${count} items announced, more than the bytes that are left`);
  return Number(count);
}

function readByte(reader: Reader): number {
  const byte = reader.bytes[reader.offset];
  if (byte === undefined) throw invalid("the item is cut");
  reader.offset += 1;
  return byte;
}

function take(reader: Reader, length: bigint): Uint8Array {
  if (length > BigInt(reader.bytes.byteLength - reader.offset)) throw invalid("the item is cut");
  const start = reader.offset;
  reader.offset += Number(length);
  return reader.bytes.subarray(start, reader.offset);
}

function readText(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new PpmlError("attest.invalid", "not valid CBOR: text that is not UTF-8", { cause });
  }
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `not valid CBOR: ${what}`);
}
