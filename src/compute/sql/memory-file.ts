import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { PpmlError } from "../../base/index.ts";
import type { ByteSource } from "../../base/index.ts";
import { descriptorSource } from "./read-descriptor.ts";

/**
 * O_TMPFILE: Linux gives it as 020000000 together with O_DIRECTORY; Node's constants lack it.
 * @see open(2)
 */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** A file without a name on a memory file system: it is gone when its descriptor is. */
export type MemoryFile = Disposable & {
  readonly fd: number;
  /** The path by which the engine of this process opens it. */
  readonly path: string;
  /** Bytes written so far. */
  size(): number;
  append(bytes: Uint8Array): void;
  source(): ByteSource;
};

/**
 * Makes a nameless file in `directory`, which must be a tmpfs of this worker alone.
 * @throws launch.isolation where the file system cannot; compute.memory where it is full
 */
export function openMemoryFile(directory: string): MemoryFile {
  const fd = openNameless(directory);
  let position = 0;
  return {
    fd,
    path: `/proc/self/fd/${fd}`,
    size: () => fstatSync(fd).size,
    append: (bytes) => {
      position = writeAll(fd, bytes, position);
    },
    source: () => descriptorSource(fd, fstatSync(fd).size),
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function openNameless(directory: string): number {
  try {
    return openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600);
  } catch (cause) {
    throw new PpmlError(
      "launch.isolation",
      `no nameless file can be made in ${directory}: a tmpfs of Linux is needed`,
      { cause },
    );
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
