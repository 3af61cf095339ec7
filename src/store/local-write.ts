import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { copyFile, lstat, open, readdir, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { storeError } from "./local-io.ts";
import { RESERVED_PREFIX } from "./name.ts";
import type { Chunks } from "./store.ts";

const TEMPORARY_PREFIX = `${RESERVED_PREFIX}tmp-`;
const BATCH_BYTES = 1_048_576;
const BATCH_CHUNKS = 512;
// A put that still runs touches its file far more often than once a day.
const LEFTOVER_AGE_MS = 24 * 60 * 60 * 1000;

/** A file that is not yet visible under its name: only what is put is ever in it, mode 0600. */
export type TemporaryFile = { readonly path: string; readonly handle: FileHandle };

/**
 * Makes an empty temporary file in `folder`.
 * @throws errors of node:fs
 */
export async function createTemporary(folder: string): Promise<TemporaryFile> {
  const path = temporaryPath(folder);
  return { path, handle: await open(path, "wx", 0o600) };
}

/**
 * Makes a temporary file with the content of `from`, sharing its blocks where the file system can.
 * @throws errors of node:fs
 */
export async function cloneTemporary(folder: string, from: string): Promise<TemporaryFile> {
  const path = temporaryPath(folder);
  try {
    await copyFile(from, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    const handle = await open(path, "r+");
    await handle.chmod(0o600);
    return { path, handle };
  } catch (error) {
    await unlink(path).catch(() => {});
    throw error;
  }
}

/** Closes a temporary file and removes it where it still has its name. */
export async function discardTemporary(file: TemporaryFile): Promise<void> {
  await file.handle.close().catch(() => {});
  await unlink(file.path).catch(() => {});
}

/**
 * Writes chunks one after the other from `position` on: while one batch is written, the next is
 * pulled from `chunks`. Gives the position after the last byte.
 * @param target.name the object's name, for messages
 * @throws store.io; what the chunks throw
 */
export async function writeChunks(
  target: { readonly handle: FileHandle; readonly name: string; readonly position: number },
  input: { readonly chunks: Chunks; readonly recycle?: ((chunk: Uint8Array) => void) | undefined },
): Promise<number> {
  const { handle, name } = target;
  const { chunks, recycle } = input;
  let position = target.position;
  let batch: Uint8Array[] = [];
  let batchBytes = 0;
  let running: Promise<void> = Promise.resolve();
  const write = async (chunksToWrite: readonly Uint8Array[], at: number): Promise<void> => {
    try {
      await writeFully(handle, chunksToWrite, at);
    } catch (error) {
      throw storeError(error, name);
    }
    if (recycle !== undefined) for (const chunk of chunksToWrite) recycle(chunk);
  };
  const flush = async (): Promise<void> => {
    await running;
    running = write(batch, position);
    // The error is met at the next flush; meanwhile it must not end the process.
    running.catch(() => {});
    position += batchBytes;
    batch = [];
    batchBytes = 0;
  };
  try {
    for await (const chunk of chunks) {
      if (chunk.byteLength === 0) continue;
      batch.push(chunk);
      batchBytes += chunk.byteLength;
      if (batchBytes >= BATCH_BYTES || batch.length >= BATCH_CHUNKS) await flush();
    }
    await flush();
  } finally {
    // The file must not be closed under a write that still runs.
    await running.catch(() => {});
  }
  await running;
  return position;
}

/** Removes temporary files of writers that ended a day ago or more. */
export async function removeLeftovers(folder: string, nowMs: number): Promise<void> {
  for (const entry of await readdir(folder)) {
    if (!entry.startsWith(TEMPORARY_PREFIX)) continue;
    const path = join(folder, entry);
    const stats = await lstat(path).catch(() => null);
    if (stats !== null && nowMs - stats.mtimeMs > LEFTOVER_AGE_MS)
      await unlink(path).catch(() => {});
  }
}

async function writeFully(
  handle: FileHandle,
  batch: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let rest = batch;
  let offset = position;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, offset);
    offset += bytesWritten;
    rest = dropBytes(rest, bytesWritten);
  }
}

function dropBytes(batch: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let left = count;
  let index = 0;
  for (const chunk of batch) {
    if (left < chunk.byteLength) break;
    left -= chunk.byteLength;
    index += 1;
  }
  const [first, ...others] = batch.slice(index);
  return first === undefined ? [] : [first.subarray(left), ...others];
}

function temporaryPath(folder: string): string {
  return join(folder, `${TEMPORARY_PREFIX}${randomBytes(12).toString("hex")}`);
}
