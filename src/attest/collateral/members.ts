/**
 * Reads the members of Intel's signed JSON, each wrong one refused by its name. By hand and not by a
 * schema: a document has some 500 numbers, every verification without a cache reads it anew, and a schema
 * takes longer for it than two signatures do.
 */
import { PpmlError, utcTimeMs } from "../../base/index.ts";
import type { JsonReader } from "./json-reader.ts";

const TIME_FORM = "dddd-dd-ddTdd:dd:ddZ";
const TIME_SIGNS = [4, 7, 10, 13, 16, 19];

const MAX_ADVISORIES = 1000;

/** The items of the list that stands next, `min` to `max`, each as `read` gives it. @throws attest.invalid */
export function nextList<T>(
  json: JsonReader,
  options: {
    readonly name: string;
    readonly min: number;
    readonly max: number;
    readonly read: (json: JsonReader) => T;
  },
): readonly T[] {
  const { name, min, max, read } = options;
  const items: T[] = [];
  json.enterList();
  while (json.nextItem()) {
    if (items.length === max) throw wrongMember(name, `a list of ${min} to ${max}`);
    items.push(read(json));
  }
  if (items.length < min) throw wrongMember(name, `a list of ${min} to ${max}`);
  return items;
}

/** An integer from 0 to `max`. @throws attest.invalid */
export function readUnsigned(value: unknown, max: number, name: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max)
    return value;
  throw wrongMember(name, `an integer from 0 to ${max}`);
}

/** One of the texts that are known. @throws attest.invalid */
export function readOneOf<T extends string>(value: unknown, known: readonly T[], name: string): T {
  for (const one of known) if (one === value) return one;
  throw wrongMember(name, known.join(", "));
}

/** Bytes of exactly `length` in hex of either case. @throws attest.invalid */
export function readHexBytes(value: unknown, length: number, name: string): Uint8Array {
  if (typeof value === "string" && value.length === 2 * length) {
    // Node stops at the first character that is no digit.
    const bytes = Buffer.from(value, "hex");
    if (bytes.byteLength === length) return new Uint8Array(bytes);
  }
  throw wrongMember(name, `${length} bytes in hex`);
}

/** RFC 3339 in UTC with whole seconds, in milliseconds since 1970. @throws attest.invalid */
export function readTime(value: unknown, name: string): number {
  const timeMs = typeof value === "string" ? timeMsOf(value) : Number.NaN;
  if (Number.isNaN(timeMs))
    throw wrongMember(name, "a time that exists, such as 2026-11-23T12:00:00Z");
  return timeMs;
}

/** As `fromTimestamp`, for days that exist alone, and in a third of its time: a document has twenty. */
function timeMsOf(text: string): number {
  if (text.length !== TIME_FORM.length) return Number.NaN;
  for (const at of TIME_SIGNS) if (text[at] !== TIME_FORM[at]) return Number.NaN;
  return utcTimeMs({
    year: 100 * twoDigits(text, 0) + twoDigits(text, 2),
    month: twoDigits(text, 5),
    day: twoDigits(text, 8),
    hour: twoDigits(text, 11),
    minute: twoDigits(text, 14),
    second: twoDigits(text, 17),
  });
}

/** NaN where other characters stand there. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 0x30;
  const ones = text.charCodeAt(at + 1) - 0x30;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? 10 * tens + ones : Number.NaN;
}

/** Identifiers of security advisories that stand next, such as INTEL-SA-00615; at most 1,000. @throws attest.invalid */
export function nextAdvisoryIds(json: JsonReader): readonly string[] {
  return nextList(json, {
    name: "advisoryIDs",
    min: 0,
    max: MAX_ADVISORIES,
    read: (item) => readText(item.value(), 100, "advisoryIDs"),
  });
}

/** A text of at most `max` characters. @throws attest.invalid */
export function readText(value: unknown, max: number, name: string): string {
  if (typeof value === "string" && value.length <= max) return value;
  throw wrongMember(name, `a text of at most ${max} characters`);
}

/** The error that names a member and what it is to be. */
export function wrongMember(name: string, expected: string): PpmlError {
  return new PpmlError(
    "attest.invalid",
    `expected ${expected} in ${name} of what Intel signed: it is not TCB info or a QE identity of a known form`,
    { detail: { member: name } },
  );
}
