/** A source of the present time in milliseconds since 1970, given by the caller at the edges. */
export type Clock = () => number;

/** RFC 3339 time in UTC with whole seconds, from milliseconds since 1970. */
export function toTimestamp(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}

/**
 * Milliseconds since 1970 of an RFC 3339 UTC time as `toTimestamp` writes it; NaN for other text and
 * for a time that does not exist.
 */
export function fromTimestamp(text: string): number {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return Number.NaN;
  const timeMs = Date.parse(text);
  // Date.parse takes the 31st of February for the 3rd of March, and 24:00 for the next day's midnight.
  return Number.isNaN(timeMs) || toTimestamp(timeMs) !== text ? Number.NaN : timeMs;
}

/** A date and time of day in UTC; month and day from 1 on, the year of four digits. */
export type UtcTime = {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
};

/** Milliseconds since 1970 of a time that exists, in the years 100 to 9999; NaN for any other. */
export function utcTimeMs({ year, month, day, hour, minute, second }: UtcTime): number {
  if (!(year >= 100 && month >= 1 && month <= 12 && day >= 1 && day <= 31)) return Number.NaN;
  if (hour > 23 || minute > 59 || second > 59) return Number.NaN;
  const timeMs = Date.UTC(year, month - 1, day, hour, minute, second);
  // A day that the month does not have is one of the next month's.
  return day <= 28 || new Date(timeMs).getUTCDate() === day ? timeMs : Number.NaN;
}
