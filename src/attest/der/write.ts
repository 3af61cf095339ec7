import { concatBytes } from "../../base/index.ts";
import { DER } from "./read.ts";

/** One DER value: its tag, its length in the shortest form and its content. @see ITU-T X.690 section 10 */
export function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...content);
  const length: number[] = [];
  if (body.byteLength < 0x80) length.push(body.byteLength);
  else {
    for (let rest = body.byteLength; rest > 0; rest = Math.floor(rest / 256))
      length.unshift(rest % 256);
    length.unshift(0x80 + length.length);
  }
  return concatBytes(Uint8Array.of(tag, ...length), body);
}

/** A SEQUENCE of encoded values. */
export function derSequence(...values: readonly Uint8Array[]): Uint8Array {
  return der(DER.sequence, ...values);
}

/** A non-negative INTEGER of big-endian bytes, in its shortest form. */
export function derInteger(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  const body = first === -1 ? Uint8Array.of(0) : bytes.subarray(first);
  return der(DER.integer, (body[0] ?? 0) >= 0x80 ? Uint8Array.of(0) : new Uint8Array(), body);
}

/** A BOOLEAN. */
export function derBoolean(value: boolean): Uint8Array {
  return der(DER.boolean, Uint8Array.of(value ? 0xff : 0));
}

/** A BIT STRING with `unused` (0 to 7) unused bits at its end. */
export function derBitString(bytes: Uint8Array, unused = 0): Uint8Array {
  return der(DER.bitString, Uint8Array.of(unused), bytes);
}

/** An OBJECT IDENTIFIER from dotted text. */
export function derOid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return der(
    DER.oid,
    Uint8Array.from([first * 40 + second, ...rest].flatMap((arc) => base128(arc))),
  );
}

/** ASCII text of the given string type. */
export function derText(tag: number, text: string): Uint8Array {
  return der(tag, new TextEncoder().encode(text));
}

/** A UTCTime, from 2050 on a GeneralizedTime, in whole seconds, from milliseconds since 1970. */
export function derTime(timeMs: number): Uint8Array {
  const iso = new Date(timeMs).toISOString();
  // RFC 5280 4.1.2.5: UTCTime up to 2049, GeneralizedTime from 2050 on.
  const short = timeMs < Date.UTC(2050, 0, 1);
  const text = `${iso.slice(0, 19).replace(/[-:T]/g, "")}Z`;
  return derText(short ? DER.utcTime : DER.generalizedTime, short ? text.slice(2) : text);
}

function base128(arc: number): number[] {
  const bytes = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128))
    bytes.unshift(0x80 + (rest % 128));
  return bytes;
}
