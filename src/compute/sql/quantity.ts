import type { TimeUnit } from "../../format/parquet/index.ts";

/** An exact number: `digits` divided by 10 to the power of `scale`. */
export type Quantity = { readonly digits: bigint; readonly scale: number };

/** What the numbers of a column count: nothing, days or microseconds since 1970. */
export type Measure = "number" | "days" | "microseconds";

const NUMBER = /^(?:U?(?:TINYINT|SMALLINT|INTEGER|BIGINT)|DECIMAL\(\d+, ?\d+\))$/;
const TYPED = /^'([^']*)'::(.+)$/;
const DECIMAL_TEXT = /^(-?)(\d{1,100})(?:\.(\d{1,100}))?$/;
const DATE_TEXT = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIMESTAMP_TEXT = /^(\d{4}-\d{2}-\d{2}) (\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?$/;

/**
 * What a type of the engine counts; null for types whose statistics do not bound every value of a
 * row group: floats (NaN is in no bound), texts (their bounds may be cut), and times with a zone
 * (their text depends on a setting).
 */
export function measureOf(type: string): Measure | null {
  if (NUMBER.test(type)) return "number";
  if (type === "DATE") return "days";
  return type === "TIMESTAMP" ? "microseconds" : null;
}

/** Below 0, 0 or above 0, as `a` is smaller than, equal to or larger than `b`. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  const scale = Math.max(a.scale, b.scale);
  const difference = scaled(a, scale) - scaled(b, scale);
  if (difference === 0n) return 0;
  return difference < 0n ? -1 : 1;
}

/**
 * Reads a constant of the engine's plan: `5`, `0.05`, `'1994-01-01'::DATE`.
 * @returns null where it does not count what `measure` says, or in a form that is not known
 */
export function parseConstant(text: string, measure: Measure): Quantity | null {
  const [, quoted, type] = TYPED.exec(text) ?? [];
  if (quoted === undefined || type === undefined)
    return measure === "number" ? parseDecimal(text) : null;
  if (measureOf(type) !== measure) return null;
  if (measure === "number") return parseDecimal(quoted);
  return measure === "days" ? parseDate(quoted) : parseTimestamp(quoted);
}

/**
 * Decodes a bound of a column's statistics, in the column's own PLAIN encoding.
 * @param column.type the engine's type; `unit` is of timestamps
 * @returns null where the bytes are not of that type
 */
export function decodeBound(
  bytes: Uint8Array,
  column: {
    readonly type: string;
    readonly physicalType: string;
    readonly unit: TimeUnit | null;
  },
): Quantity | null {
  const { type, physicalType, unit } = column;
  const raw = decodeInteger(bytes, physicalType);
  if (raw === null) return null;
  if (type === "TIMESTAMP") {
    if (physicalType !== "INT64") return null;
    if (unit === "milliseconds") return { digits: raw * 1000n, scale: 0 };
    return unit === "microseconds" ? { digits: raw, scale: 0 } : null;
  }
  const isInteger = physicalType === "INT32" || physicalType === "INT64";
  const scale = /^DECIMAL\(\d+, ?(\d+)\)$/.exec(type)?.[1];
  if (scale !== undefined) return { digits: raw, scale: Number(scale) };
  if (!isInteger) return null;
  const bits = bytes.byteLength * 8;
  return { digits: type.startsWith("U") ? BigInt.asUintN(bits, raw) : raw, scale: 0 };
}

function decodeInteger(bytes: Uint8Array, physicalType: string): bigint | null {
  const { byteLength } = bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, byteLength);
  switch (physicalType) {
    case "INT32":
      return byteLength === 4 ? BigInt(view.getInt32(0, true)) : null;
    case "INT64":
      return byteLength === 8 ? view.getBigInt64(0, true) : null;
    case "BYTE_ARRAY":
    case "FIXED_LEN_BYTE_ARRAY": {
      // A decimal: two's complement, big-endian, of 16 bytes at most for 38 digits.
      if (byteLength === 0 || byteLength > 16) return null;
      const unsigned = bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
      return BigInt.asIntN(byteLength * 8, unsigned);
    }
    default:
      return null;
  }
}

function scaled({ digits, scale }: Quantity, to: number): bigint {
  return digits * 10n ** BigInt(to - scale);
}

function parseDecimal(text: string): Quantity | null {
  const [, sign, whole, fraction = ""] = DECIMAL_TEXT.exec(text) ?? [];
  if (whole === undefined) return null;
  const digits = BigInt(whole + fraction);
  return { digits: sign === "-" ? -digits : digits, scale: fraction.length };
}

function parseDate(text: string): Quantity | null {
  const [, year, month, day] = DATE_TEXT.exec(text) ?? [];
  if (year === undefined) return null;
  const date = new Date(`${year}-${month}-${day}T00:00:00Z`);
  // A day that is not in its month would be another day here.
  if (Number.isNaN(date.getTime()) || !date.toISOString().startsWith(text)) return null;
  return { digits: BigInt(date.getTime() / 86_400_000), scale: 0 };
}

function parseTimestamp(text: string): Quantity | null {
  const [, day = "", hours, minutes, seconds, fraction = ""] = TIMESTAMP_TEXT.exec(text) ?? [];
  const date = parseDate(day);
  if (date === null) return null;
  const ofDay = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  const microseconds = BigInt(ofDay) * 1_000_000n + BigInt(fraction.padEnd(6, "0"));
  return { digits: date.digits * 86_400_000_000n + microseconds, scale: 0 };
}
