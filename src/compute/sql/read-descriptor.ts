import { readSync } from "node:fs";
import { PpmlError } from "../../base/index.ts";
import type { ByteSource } from "../../base/index.ts";

/**
 * Fills the whole of `target` from byte `offset` of an open file on.
 * @throws store.conflict where the file ends before, store.io
 */
export function readFully(fd: number, offset: number, target: Uint8Array): void {
  for (let done = 0; done < target.byteLength;) {
    const got = readOnce(fd, { target, done, position: offset + done });
    if (got === 0) throw new PpmlError("store.conflict", "a file became shorter while it was read");
    done += got;
  }
}

/**
 * A source over an open file. Reads block: they are from a file system, and the engine's worker has
 * nothing else to do meanwhile.
 */
export function descriptorSource(
  fd: number,
  size: number,
): ByteSource & { readonly readInto: (offset: number, target: Uint8Array) => Promise<void> } {
  return {
    size,
    read: (offset, length) => {
      const bytes = new Uint8Array(length);
      readFully(fd, offset, bytes);
      return Promise.resolve(bytes);
    },
    readInto: (offset, target) => {
      readFully(fd, offset, target);
      return Promise.resolve();
    },
  };
}

function readOnce(
  fd: number,
  to: { readonly target: Uint8Array; readonly done: number; readonly position: number },
): number {
  const { target, done, position } = to;
  try {
    return readSync(fd, target, done, target.byteLength - done, position);
  } catch (cause) {
    const reason = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error";
    throw new PpmlError("store.io", `a file could not be read: ${reason}`, { cause });
  }
}
