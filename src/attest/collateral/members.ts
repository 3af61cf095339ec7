/**
 * Reads the members of Intel's signed JSON, each wrong one refused by its name. By hand and not by a
 * schema: a document has some 500 numbers, every verification without a cache reads it anew, and a schema
 * takes longer for it than two signatures do.
 */
import { PpmlError, utcTimeMs } from "../../base/index.ts";
import type { JsonReader } from "./json-reader.ts";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

const MAX_ADVISORIES = 1000;

/** An object's members. */
export type Members = Readonly<Record<string, unknown>>;

/** @throws attest.invalid */
export function readMembers(value: unknown, name: string): Members {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrongMember(name, "an object");
  return value as Members;
}

/** The items of a list of `min` to `max`, each as `read` gives it. @throws attest.invalid */
export function readList<T>(
  value: unknown,
  options: {
    readonly name: string;
    readonly min: number;
    readonly max: number;
    readonly read: (item: unknown) => T;
  },
): readonly T[] {
  const { name, min, max, read } = options;
  if (!Array.isArray(value) || value.length < min || value.length > max)
    throw wrongMember(name, `a list of ${min} to ${max}`);
  const items: T[] = [];
  for (const item of value as readonly unknown[]) items.push(read(item));
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
  const found = known.find((one) => one === value);
  if (found === undefined) throw wrongMember(name, known.join(", "));
  return found;
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
  const timeMs = typeof value === "string" && TIME.test(value) ? timeMsOf(value) : Number.NaN;
  if (Number.isNaN(timeMs))
    throw wrongMember(name, "a time that exists, such as 2026-11-23T12:00:00Z");
  return timeMs;
}

/** As `fromTimestamp`, for days that exist alone, and in half of its time: a document has twenty. */
function timeMsOf(text: string): number {
  return utcTimeMs({
    year: 100 * twoDigits(text, 0) + twoDigits(text, 2),
    month: twoDigits(text, 5),
    day: twoDigits(text, 8),
    hour: twoDigits(text, 11),
    minute: twoDigits(text, 14),
    second: twoDigits(text, 17),
  });
}

function twoDigits(text: string, at: number): number {
  return 10 * text.charCodeAt(at) + text.charCodeAt(at + 1) - 11 * 0x30;
}

/** Identifiers of security advisories, such as INTEL-SA-00615; at most 1,000, or left out. @throws attest.invalid */
export function readAdvisoryIds(value: unknown): readonly string[] {
  if (value === undefined) return [];
  return readList(value, {
    name: "advisoryIDs",
    min: 0,
    max: MAX_ADVISORIES,
    read: readAdvisoryId,
  });
}

/** As `readAdvisoryIds`, of the list that stands next. @throws attest.invalid */
export function nextAdvisoryIds(json: JsonReader): readonly string[] {
  const ids: string[] = [];
  json.enterList();
  while (json.nextItem()) {
    if (ids.length === MAX_ADVISORIES)
      throw wrongMember("advisoryIDs", `a list of 0 to ${MAX_ADVISORIES}`);
    ids.push(readAdvisoryId(json.value()));
  }
  return ids;
}

/** A text of at most `max` characters. @throws attest.invalid */
export function readText(value: unknown, max: number, name: string): string {
  if (typeof value === "string" && value.length <= max) return value;
  throw wrongMember(name, `a text of at most ${max} characters`);
}

function readAdvisoryId(value: unknown): string {
  return readText(value, 100, "advisoryIDs");
}

/** The error that names a member and what it is to be. */
export function wrongMember(name: string, expected: string): PpmlError {
  return new PpmlError(
    "attest.invalid",
    `expected ${expected} in ${name} of what Intel signed: it is not TCB info or a QE identity of a known form`,
    { detail: { member: name } },
  );
}
