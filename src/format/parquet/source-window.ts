import type { ByteSource } from "../../base/byte-source.ts";
import { PpmlError } from "../../base/error.ts";

const WINDOW_BYTES = 4 * 1024 * 1024;

/**
 * A source of a table: where it also reads into memory that is there already (`readInto` fills the
 * whole target), windows use one buffer again and again.
 */
export type TableSource = ByteSource & {
  readonly readInto?: (offset: number, target: Uint8Array) => Promise<void>;
};

/** The part of a source that is in memory: reads are few and large, memory is bounded. */
export type SourceWindow = {
  readonly source: TableSource;
  /** Nothing at or after this offset is read. */
  readonly end: number;
  /** The loaded bytes, from offset `start` of the source on. */
  bytes: Uint8Array;
  start: number;
  readonly scratch: Scratch;
};

/** The buffer that windows over one source use one after the other. */
export type Scratch = { buffer: Uint8Array };

/** A scratch that grows when it is first used. */
export function createScratch(): Scratch {
  return { buffer: new Uint8Array(0) };
}

/** A window over `source` up to `end`, with nothing loaded; it takes `scratch` over. */
export function openWindow(
  source: TableSource,
  range: { readonly end: number; readonly scratch: Scratch },
): SourceWindow {
  const end = Math.min(range.end, source.size);
  return { source, end, bytes: new Uint8Array(0), start: 0, scratch: range.scratch };
}

/** Tells whether `[at, at + length)` is loaded. */
export function covers(window: SourceWindow, at: number, length: number): boolean {
  return at >= window.start && at + length <= window.start + window.bytes.byteLength;
}

/**
 * Loads `[at, at + length)`, and what follows it up to the window's usual size; views of what was
 * loaded before are not valid afterwards.
 * @throws format.invalid where the range is past the window's end
 */
export async function load(window: SourceWindow, at: number, length: number): Promise<void> {
  if (at + length > window.end)
    throw new PpmlError(
      "format.invalid",
      `expected ${length} bytes at ${at}, but that part of the file ends at ${window.end}`,
    );
  const wanted = Math.min(window.end - at, Math.max(length, WINDOW_BYTES));
  const { source, scratch } = window;
  if (source.readInto === undefined) window.bytes = await source.read(at, wanted);
  else {
    if (scratch.buffer.byteLength < wanted) {
      const bytes = Math.max(wanted, Math.min(WINDOW_BYTES, source.size));
      // A bare array: views of it are made by the thousand, and those of a Buffer cost more.
      scratch.buffer = new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
    }
    window.bytes = scratch.buffer.subarray(0, wanted);
    await source.readInto(at, window.bytes);
  }
  window.start = at;
}

/** A view of loaded bytes. */
export function slice(window: SourceWindow, at: number, length: number): Uint8Array {
  const from = at - window.start;
  return window.bytes.subarray(from, from + length);
}
