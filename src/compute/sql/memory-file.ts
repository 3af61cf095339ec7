import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { PpmlError, toHex } from "../../base/index.ts";
import type { ByteSource } from "../../base/index.ts";
import { descriptorSource } from "./read-descriptor.ts";

/**
 * O_TMPFILE: Linux gives it as 020000000 together with O_DIRECTORY; Node's constants lack it.
 * @see open(2)
 */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** A file on a file system in memory that is gone when it is disposed of, or its worker's folder is. */
export type MemoryFile = Disposable & {
  readonly fd: number;
  /** The path by which the engine of this process opens it. */
  readonly path: string;
  /** Bytes written so far. */
  size(): number;
  append(bytes: Uint8Array): void;
  /** Gives its memory back; it can be written anew. */
  clear(): void;
  source(): ByteSource;
};

/**
 * Makes a file in `directory`, which must be in memory and of this worker alone. On Linux it has no
 * name; macOS has no such files, so there it has a random one, mode 0600, on the RAM disk.
 * @throws launch.isolation where the file system cannot; compute.memory where it is full
 */
export function openMemoryFile(
  directory: string,
  platform: NodeJS.Platform = process.platform,
): MemoryFile {
  const { fd, path, remove } =
    platform === "darwin" ? openNamed(directory) : openNameless(directory);
  let position = 0;
  return {
    fd,
    path,
    size: () => fstatSync(fd).size,
    append: (bytes) => {
      position = writeAll(fd, bytes, position);
    },
    clear: () => {
      ftruncateSync(fd, 0);
      position = 0;
    },
    source: () => descriptorSource(fd, fstatSync(fd).size),
    [Symbol.dispose]: () => {
      closeSync(fd);
      remove();
    },
  };
}

type Opened = { readonly fd: number; readonly path: string; readonly remove: () => void };

function openNameless(directory: string): Opened {
  try {
    const fd = openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600);
    return { fd, path: `/proc/self/fd/${fd}`, remove: () => undefined };
  } catch (cause) {
    throw new PpmlError(
      "launch.isolation",
      `no nameless file can be made in ${directory}: a tmpfs of Linux is needed`,
      { cause },
    );
  }
}

function openNamed(directory: string): Opened {
  const path = join(directory, toHex(randomBytes(16)));
  try {
    return { fd: openSync(path, "wx+", 0o600), path, remove: () => unlinkSync(path) };
  } catch (cause) {
    throw new PpmlError("launch.isolation", `no file can be made on the RAM disk ${directory}`, {
      cause,
    });
  }
}

function writeAll(fd: number, bytes: Uint8Array, at: number): number {
  let done = 0;
  try {
    while (done < bytes.byteLength)
      done += writeSync(fd, bytes, done, bytes.byteLength - done, at + done);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOSPC")
      throw new PpmlError(
        "compute.memory",
        "the opened columns do not fit into the job's memory: raise memoryMiB, or read fewer columns",
      );
    throw cause;
  }
  return at + done;
}
