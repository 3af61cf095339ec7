import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { PpmlError, sha256 } from "../../base/index.ts";
import type { PlannedFile } from "./image-plan.ts";

/** Below this a file is read, hashed and written at once; above it, in overlapping pieces. */
const SMALL_BYTES = 256 * 1024;
const PIECE_BYTES = 2 * 1024 * 1024;
const MAX_FILE_BYTES = 2 ** 32;

/** One file of an image as it was hashed: what a copy holds, where there is one. */
export type ImageFile = {
  readonly path: string;
  /** 32 bytes. */
  readonly sha256: Uint8Array;
  readonly size: number;
  readonly executable: boolean;
};

/**
 * Hashes a file and writes the very bytes that it hashed to `target` (null: nothing is written), a
 * new file of mode 0500 or 0400.
 * @throws launch.image
 */
export async function transferFile(file: PlannedFile, target: string | null): Promise<ImageFile> {
  if ("bytes" in file.from) {
    const { bytes } = file.from;
    if (target !== null) writeFileSync(target, bytes, { flag: "wx", mode: 0o400 });
    return { path: file.path, sha256: sha256(bytes), size: bytes.byteLength, executable: false };
  }
  const source = file.from.file;
  const fd = openSource(source);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile() || stats.size > MAX_FILE_BYTES)
      throw new PpmlError("launch.image", `${source} is not a plain file of at most 4 GiB`);
    const executable = (stats.mode & 0o111) !== 0;
    const mode = executable ? 0o500 : 0o400;
    if (stats.size >= SMALL_BYTES)
      return { path: file.path, executable, ...(await transferLarge(source, target, mode)) };
    const bytes = readSmall(fd, source);
    if (target !== null) writeFileSync(target, bytes, { flag: "wx", mode });
    return { path: file.path, executable, sha256: sha256(bytes), size: bytes.byteLength };
  } finally {
    closeSync(fd);
  }
}

/** O_NOFOLLOW: a link in the file's place is refused, also one that came after the plan. */
function openSource(source: string): number {
  try {
    return openSync(source, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    throw new PpmlError("launch.image", `${source} cannot be read as a plain file`, { cause });
  }
}

function readSmall(fd: number, source: string): Uint8Array {
  const buffer = Buffer.allocUnsafe(SMALL_BYTES);
  let size = 0;
  for (let count = -1; count !== 0 && size < SMALL_BYTES; size += count)
    count = readSync(fd, buffer, size, SMALL_BYTES - size, null);
  if (size === SMALL_BYTES)
    throw new PpmlError("launch.image", `${source} grew while it was read: try again`);
  return buffer.subarray(0, size);
}

/** While one piece is hashed here, two threads write it and read the next. */
async function transferLarge(
  source: string,
  target: string | null,
  mode: number,
): Promise<Pick<ImageFile, "sha256" | "size">> {
  await using input = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW);
  await using output = target === null ? null : await open(target, "wx", mode);
  const hash = createHash("sha256");
  let [current, spare] = [Buffer.allocUnsafe(PIECE_BYTES), Buffer.allocUnsafe(PIECE_BYTES)];
  let size = 0;
  let { bytesRead } = await input.read(current, 0, PIECE_BYTES);
  while (bytesRead > 0) {
    const piece = current.subarray(0, bytesRead);
    const writing = output === null ? Promise.resolve() : writeAll(output, piece);
    const reading = input.read(spare, 0, PIECE_BYTES);
    hash.update(piece);
    size += bytesRead;
    if (size > MAX_FILE_BYTES) throw new PpmlError("launch.image", `${source} is over 4 GiB`);
    const [, next] = await Promise.all([writing, reading]);
    bytesRead = next.bytesRead;
    [current, spare] = [spare, current];
  }
  return { sha256: new Uint8Array(hash.digest()), size };
}

async function writeAll(output: FileHandle, piece: Uint8Array): Promise<void> {
  for (let offset = 0; offset < piece.byteLength;) {
    const { bytesWritten } = await output.write(piece, offset);
    offset += bytesWritten;
  }
}
