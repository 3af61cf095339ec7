import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, link, open, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { toHex } from "../base/bytes.ts";
import { type ErrorDetail, PpmlError } from "../base/error.ts";

/** How a secret file is opened: never through a link, never waiting. */
export const PRIVATE_READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/** The error of a secret file that is a link. @throws key.vault_io */
export function refuseLink(path: string, cause: unknown): void {
  if (errnoOf(cause) !== "ELOOP") return;
  throw ioError(path, "it is a symbolic link: put the file itself there, or name its real path");
}

/**
 * Refuses a secret file that group or others have any right to.
 * @throws key.vault_io with the command that mends it
 */
export function requirePrivateMode(path: string, mode: number): void {
  if (process.platform === "win32" || (mode & 0o077) === 0) return;
  const shown = (mode & 0o777).toString(8).padStart(4, "0");
  throw ioError(path, `its mode is ${shown} and must be 0600: run chmod 600 '${path}'`);
}

/** Where a temporary file stands until it takes its name: same folder, hidden, random. */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${toHex(randomBytes(8))}.tmp`);
}

/**
 * Writes a new file of mode 0600 that is there as a whole or not at all, and never over another.
 * @throws key.vault_io where it exists or cannot be written
 */
export async function writePrivateFile(options: {
  readonly path: string;
  readonly bytes: Uint8Array;
}): Promise<void> {
  const temporary = temporaryPath(options.path);
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(options.bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await publishFile(temporary, options.path);
  } catch (cause) {
    if (errnoOf(cause) === "EEXIST")
      throw ioError(options.path, "it exists and is not written over", cause);
    throw cause instanceof PpmlError ? cause : ioError(options.path, "it cannot be written", cause);
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

/**
 * Gives a finished temporary file its name, durably; the name must be free.
 * Rejects with the system's EEXIST where it is not.
 */
export async function publishFile(temporary: string, path: string): Promise<void> {
  // link() and not rename(): rename would replace a file that came into being meanwhile.
  await link(temporary, path);
  await unlink(temporary);
  await syncFolder(dirname(path));
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return; // folders cannot be opened there
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Reads a secret file of at most `maxBytes` bytes that nobody but its owner may read.
 * @throws key.vault_missing key.vault_io where group or others have any right to it
 */
export async function readPrivateFile(options: {
  readonly path: string;
  readonly maxBytes: number;
}): Promise<Uint8Array> {
  const { path, maxBytes } = options;
  let file: FileHandle | undefined;
  try {
    // O_NONBLOCK: a FIFO put in the file's place must not make us wait for ever. O_NOFOLLOW: what a
    // link leads to may have rights, and a place, that nobody looked at.
    file = await open(path, PRIVATE_READ);
    const stat = await file.stat();
    if (!stat.isFile()) throw ioError(path, "it is not a regular file");
    requirePrivateMode(path, stat.mode);
    if (stat.size > maxBytes) throw ioError(path, `it is longer than ${maxBytes} bytes`);
    const bytes = new Uint8Array(stat.size);
    const { bytesRead } = await file.read(bytes, 0, bytes.byteLength, 0);
    if (bytesRead !== bytes.byteLength) throw ioError(path, "it changed while it was read");
    return bytes;
  } catch (cause) {
    if (cause instanceof PpmlError) throw cause;
    if (errnoOf(cause) === "ENOENT")
      throw new PpmlError("key.vault_missing", `there is no file ${path}`, {
        cause,
        detail: {
          path,
          remedy:
            "restore it from a backup, or correct its path in ppml.yaml; it cannot be made again",
        },
      });
    refuseLink(path, cause);
    throw ioError(path, "it cannot be read", cause);
  } finally {
    await file?.close();
  }
}

/** The system's code of an error (`ENOENT`), or an empty text. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : "";
}

function ioError(path: string, what: string, cause?: unknown): PpmlError {
  const detail: ErrorDetail = { path };
  const errno = errnoOf(cause);
  const message = `${path}: ${what}${errno === "" || errno === "EEXIST" ? "" : ` (${errno})`}`;
  return new PpmlError("key.vault_io", message, { detail, cause });
}
