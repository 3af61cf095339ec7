import { PpmlError, utcTimeMs } from "../../base/index.ts";

/**
 * One DER value: its tag byte, and where it lies in the input. A view of each value would cost more than
 * all of its reading.
 */
export type DerValue = {
  readonly tag: number;
  readonly bytes: Uint8Array;
  /** Where its tag stands, where its content begins and where it ends. */
  readonly offset: number;
  readonly start: number;
  readonly end: number;
};

/** Tag bytes of the types that certificates use. @see ITU-T X.690 section 8 */
export const DER = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/**
 * Reads exactly one DER value that fills `bytes`, of tag `tag`.
 * @throws attest.invalid
 * @see ITU-T X.690 sections 8 and 10
 */
export function readDer(bytes: Uint8Array, tag: number): DerValue {
  const value = readDerAt(bytes, 0, bytes.byteLength);
  if (value.end !== bytes.byteLength)
    throw invalid(`${bytes.byteLength - value.end} bytes after the end`);
  return expectTag(value, tag);
}

/** A value's content, as a view of the input. */
export function derContent({ bytes, start, end }: DerValue): Uint8Array {
  return bytes.subarray(start, end);
}

/** Tag, length and content of a value, as a view of the input. */
export function derEncoding({ bytes, offset, end }: DerValue): Uint8Array {
  return bytes.subarray(offset, end);
}

/** The values inside a constructed one, at most 1,000. @throws attest.invalid */
export function readDerSequence(value: DerValue): DerValue[] {
  return readDerItems(value, 1000);
}

/** The values inside a constructed one, at most `max`. @throws attest.invalid */
export function readDerItems(value: DerValue, max: number): DerValue[] {
  const values: DerValue[] = [];
  let offset = value.start;
  while (offset < value.end) {
    if (values.length === max) throw invalid(`more than ${max} values in one`);
    const inner = readDerAt(value.bytes, offset, value.end);
    values.push(inner);
    offset = inner.end;
  }
  return values;
}

/** Checks a value's tag; `undefined` is a value that is not there. @throws attest.invalid */
export function expectTag(value: DerValue | undefined, tag: number): DerValue {
  if (value?.tag !== tag) throw wrongTag(tag, value?.tag);
  return value;
}

/** Checks the tag at `offset`. @throws attest.invalid */
export function expectTagAt(bytes: Uint8Array, offset: number, tag: number): void {
  if (bytes[offset] !== tag) throw wrongTag(tag, bytes[offset]);
}

/** An INTEGER from 0 to 2^31-1 in its shortest form. @throws attest.invalid */
export function readDerSmallInteger(value: DerValue | undefined): number {
  const { bytes, start, end } = expectTag(value, DER.integer);
  const length = end - start;
  const [first = 0x80, second = 0x80] = [bytes[start], bytes[start + 1]];
  const padded = length > 1 && first === 0 && second < 0x80;
  if (length === 0 || length > 4 || first >= 0x80 || padded)
    throw invalid("expected an INTEGER from 0 to 2147483647 in its shortest form");
  let number = 0;
  for (let index = start; index < end; index += 1) number = number * 256 + (bytes[index] ?? 0);
  return number;
}

/** A BOOLEAN; DER knows 00 and FF only. @throws attest.invalid @see ITU-T X.690 section 11.1 */
export function readDerBoolean(value: DerValue | undefined): boolean {
  const { bytes, start, end } = expectTag(value, DER.boolean);
  const byte = bytes[start];
  if (end - start !== 1 || (byte !== 0 && byte !== 0xff))
    throw invalid("expected a BOOLEAN of 00 or FF");
  return byte === 0xff;
}

/** The bytes of a BIT STRING without unused bits. @throws attest.invalid */
export function readDerBitString(value: DerValue | undefined): Uint8Array {
  const content = derContent(expectTag(value, DER.bitString));
  if (content[0] !== 0) throw invalid("expected a BIT STRING without unused bits");
  return content.subarray(1);
}

/** An OBJECT IDENTIFIER as dotted text, at most 32 bytes. @throws attest.invalid */
export function readDerOid(value: DerValue | undefined): string {
  const { bytes, start, end } = expectTag(value, DER.oid);
  let text = "";
  let arc = 0;
  let open = true;
  const stop = end - start <= 32 ? end : start;
  for (let index = start; index < stop; index += 1) {
    const byte = bytes[index] ?? 0;
    if (arc === 0 && byte === 0x80) throw invalid("OBJECT IDENTIFIER with a padded arc");
    arc = arc * 128 + (byte & 0x7f);
    if (arc > 0xffffffff) throw invalid("OBJECT IDENTIFIER with an arc over 32 bits");
    open = byte >= 0x80;
    if (open) continue;
    text += text === "" ? firstArcs(arc) : `.${arc}`;
    arc = 0;
  }
  if (open) throw invalid("expected an OBJECT IDENTIFIER of 1 to 32 bytes");
  return text;
}

/** X.690 8.19.4: the first two arcs are one number. */
function firstArcs(number: number): string {
  const first = Math.min(2, Math.floor(number / 40));
  return `${first}.${number - 40 * first}`;
}

/** Text of a UTF8String, PrintableString or IA5String in printable ASCII. @throws attest.invalid */
export function readDerText(value: DerValue | undefined): string {
  const tag = value?.tag ?? DER.utf8String;
  if (tag !== DER.utf8String && tag !== DER.printableString && tag !== DER.ia5String)
    throw invalid(`expected text, got tag 0x${tag.toString(16)}`);
  const content = derContent(expectTag(value, tag));
  if (content.some((byte) => byte < 0x20 || byte > 0x7e)) throw invalid("expected printable ASCII");
  return String.fromCharCode(...content);
}

/** A UTCTime or GeneralizedTime in whole seconds UTC, in ms. @throws attest.invalid @see RFC 5280 4.1.2.5 */
export function readDerTime(value: DerValue | undefined): number {
  const tag = value?.tag === DER.generalizedTime ? DER.generalizedTime : DER.utcTime;
  const { bytes, start, end } = expectTag(value, tag);
  const yearDigits = tag === DER.utcTime ? 2 : 4;
  // RFC 5280 section 4.1.2.5: both forms end in seconds and "Z".
  if (end - start !== yearDigits + 11 || bytes[end - 1] !== 0x5a)
    throw invalid("expected a UTC time with whole seconds");
  const short = readTwoDigits(bytes, start);
  const rest = start + yearDigits;
  // RFC 5280 section 4.1.2.5.1: a year of 50 or more is of the 1900s.
  const century = short >= 50 ? 1900 : 2000;
  const timeMs = utcTimeMs({
    year: yearDigits === 2 ? century + short : 100 * short + readTwoDigits(bytes, start + 2),
    month: readTwoDigits(bytes, rest),
    day: readTwoDigits(bytes, rest + 2),
    hour: readTwoDigits(bytes, rest + 4),
    minute: readTwoDigits(bytes, rest + 6),
    second: readTwoDigits(bytes, rest + 8),
  });
  if (Number.isNaN(timeMs))
    throw invalid(
      `expected a time that exists, got ${String.fromCharCode(...bytes.subarray(start, end))}`,
    );
  return timeMs;
}

function readTwoDigits(bytes: Uint8Array, offset: number): number {
  const tens = (bytes[offset] ?? 0) - 0x30;
  const ones = (bytes[offset + 1] ?? 0) - 0x30;
  if (!(tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9))
    throw invalid("expected a UTC time with whole seconds");
  return 10 * tens + ones;
}

/**
 * Reads the DER value whose tag stands at `offset`, and which has to end at `limit` or before.
 * @throws attest.invalid
 */
export function readDerAt(bytes: Uint8Array, offset: number, limit: number): DerValue {
  const end = derEndAt(bytes, offset, limit);
  return { tag: bytes[offset] ?? 0, bytes, offset, start: derStartAt(bytes, offset), end };
}

/**
 * As `readDerAt`, but gives just where the value ends: lists have thousands of values, whose objects take
 * longer than their reading.
 * @throws attest.invalid
 */
export function derEndAt(bytes: Uint8Array, offset: number, limit: number): number {
  if (limit - offset < 2) throw invalid("the value is cut");
  const tag = bytes[offset] ?? 0;
  // X.690 8.1.2.4: tag numbers from 31 on take several bytes; certificates use none.
  if ((tag & 0x1f) === 0x1f) throw invalid("a tag of several bytes");
  let length = bytes[offset + 1] ?? 0;
  const start = derStartAt(bytes, offset);
  if (length >= 0x80) {
    const count = length & 0x7f;
    // X.690 10.1: definite form, in the fewest octets. Three octets reach 16 MiB, enough here.
    if (count === 0 || count > 3) throw invalid("a length that is indefinite or over 16 MiB");
    if (start > limit) throw invalid("the length is cut");
    length = 0;
    for (let i = start - count; i < start; i += 1) length = length * 256 + (bytes[i] ?? 0);
    if (length < 0x80 || length < 256 ** (count - 1))
      throw invalid("a length not in its shortest form");
  }
  if (length > limit - start) throw invalid("the value is longer than its bytes");
  return start + length;
}

/** Where the content of a value begins that `derEndAt` has read. */
export function derStartAt(bytes: Uint8Array, offset: number): number {
  const first = bytes[offset + 1] ?? 0;
  return offset + 2 + (first < 0x80 ? 0 : first & 0x7f);
}

function wrongTag(expected: number, tag: number | undefined): PpmlError {
  const got = tag === undefined ? "nothing" : `0x${tag.toString(16)}`;
  return invalid(`expected tag 0x${expected.toString(16)}, got ${got}`);
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `not valid DER: ${what}`);
}
