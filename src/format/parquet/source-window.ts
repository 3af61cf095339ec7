import type { ByteSource } from "../../base/byte-source.ts";
import { PpmlError } from "../../base/error.ts";

const WINDOW_BYTES = 8 * 1024 * 1024;

/** The part of a source's range that is in memory: reads are few and large, memory is bounded. */
export type SourceWindow = {
  readonly source: ByteSource;
  /** Nothing at or after this offset is read. */
  readonly end: number;
  /** The loaded bytes, from offset `start` of the source on. */
  bytes: Uint8Array;
  start: number;
};

/** A window over `source` up to `end`, with nothing loaded. */
export function openWindow(source: ByteSource, end: number): SourceWindow {
  return { source, end: Math.min(end, source.size), bytes: new Uint8Array(0), start: 0 };
}

/** Tells whether `[at, at + length)` is loaded. */
export function covers(window: SourceWindow, at: number, length: number): boolean {
  return at >= window.start && at + length <= window.start + window.bytes.byteLength;
}

/**
 * Loads `[at, at + length)`, and what follows it up to the window's usual size.
 * @throws format.invalid where the range is past the window's end
 */
export async function load(window: SourceWindow, at: number, length: number): Promise<void> {
  if (at + length > window.end)
    throw new PpmlError(
      "format.invalid",
      `expected ${length} bytes at ${at}, but that part of the file ends at ${window.end}`,
    );
  const wanted = Math.min(window.end - at, Math.max(length, WINDOW_BYTES));
  window.bytes = await window.source.read(at, wanted);
  window.start = at;
}

/** A view of loaded bytes. */
export function slice(window: SourceWindow, at: number, length: number): Uint8Array {
  const from = at - window.start;
  return window.bytes.subarray(from, from + length);
}
