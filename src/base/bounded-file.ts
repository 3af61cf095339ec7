import { constants } from "node:fs";
import type { Stats } from "node:fs";
import { open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { ErrorCode } from "./error-codes.ts";
import { PpmlError } from "./error.ts";

/** What is read, for errors, and how much of it may come. */
export type BoundedFile = {
  /** Names it in errors, its path included: "the policy p.json". */
  readonly what: string;
  readonly maxBytes: number;
  /** Code of every refusal. */
  readonly code: ErrorCode;
  /** What to do, where the caller knows: `detail.remedy` of each refusal. */
  readonly remedy?: string;
};

const CHUNK_BYTES = 65_536;

/**
 * Reads a regular file of at most `maxBytes`, symbolic links followed. Folders, devices, sockets and
 * pipes are refused before they are opened: some of them never end, or never begin. Memory is bounded
 * by what the file holds, also where it grows while it is read.
 * Rejects with `code`; its `cause` is the system's error where there is one.
 */
export async function readBoundedFile(path: string, options: BoundedFile): Promise<Uint8Array> {
  try {
    refuse(await stat(path), options);
    // A pipe that took the file's place since then does not hold the open call.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    refuse(await file.stat(), options);
    return await readToEnd(file, options);
  } catch (cause) {
    if (cause instanceof PpmlError) throw cause;
    throw failed(options, whyNot(cause), cause);
  }
}

function refuse(stats: Stats, options: BoundedFile): void {
  if (!stats.isFile()) throw failed(options, `it is ${kindOf(stats)}, not a file`);
  if (stats.size > options.maxBytes) throw tooLong(options);
}

/** The size is not asked: files of /proc say 0, and another process may append. */
async function readToEnd(file: FileHandle, options: BoundedFile): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const chunk = new Uint8Array(CHUNK_BYTES);
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, null);
    if (bytesRead === 0) return new Uint8Array(Buffer.concat(chunks, length));
    length += bytesRead;
    if (length > options.maxBytes) throw tooLong(options);
    chunks.push(chunk.subarray(0, bytesRead));
  }
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return "a folder";
  if (stats.isFIFO()) return "a pipe";
  if (stats.isSocket()) return "a socket";
  return "a device";
}

function whyNot(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  switch (code) {
    case "ENOENT":
      return "there is no such file";
    case "EACCES":
    case "EPERM":
      return "this user may not read it";
    case "ELOOP":
      return "its symbolic links go in circles";
    case "ERR_INVALID_ARG_VALUE":
      return "its path holds a zero byte";
    default:
      return `the system says ${code}`;
  }
}

function tooLong(options: BoundedFile): PpmlError {
  return failed(options, `it is longer than ${options.maxBytes} bytes`);
}

function failed(options: BoundedFile, why: string, cause?: unknown): PpmlError {
  const { what, code, remedy } = options;
  return new PpmlError(code, `${what} cannot be read: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
    ...(remedy === undefined ? {} : { detail: { remedy } }),
  });
}
