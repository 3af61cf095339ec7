/** A source of the present time in milliseconds since 1970, given by the caller at the edges. */
export type Clock = () => number;

/** RFC 3339 time in UTC with whole seconds, from milliseconds since 1970. */
export function toTimestamp(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}

/** Milliseconds since 1970 of an RFC 3339 UTC time as `toTimestamp` writes it; NaN for other text. */
export function fromTimestamp(text: string): number {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? Date.parse(text) : Number.NaN;
}
