import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { PpmlError } from "../base/index.ts";
import { checkRange, localEtag, storeError } from "./local-io.ts";
import type { StoreSource } from "./store.ts";

/**
 * Opens a local file for random access; it must be a regular file. All reads go to the file that was
 * opened, also where another one takes its name meanwhile.
 * @param options.followLink whether `path` may be a symbolic link
 * @throws store.not_found, store.name, store.io
 */
export async function openLocalSource(
  path: string,
  options: { readonly name: string; readonly followLink: boolean },
): Promise<StoreSource> {
  const { name, followLink } = options;
  // Without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (followLink ? 0 : constants.O_NOFOLLOW);
  const handle = await open(path, flags).catch((error: unknown) => {
    throw storeError(error, name);
  });
  try {
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile())
      throw new PpmlError("store.not_found", `"${name}" is not a file`, { detail: { name } });
    const size = Number(stats.size);
    const close = (): Promise<void> => handle.close();
    return {
      size,
      etag: localEtag(stats),
      read: async (offset, length) => {
        checkRange(offset, length, size);
        const target = Buffer.allocUnsafeSlow(length);
        await fill(handle, target, { offset, name });
        return target;
      },
      readInto: async (offset, target) => {
        checkRange(offset, target.byteLength, size);
        await fill(handle, target, { offset, name });
      },
      descriptor: handle.fd,
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await handle.close();
    throw storeError(error, name);
  }
}

async function fill(
  handle: FileHandle,
  target: Uint8Array,
  from: { readonly offset: number; readonly name: string },
): Promise<void> {
  const { offset, name } = from;
  let done = 0;
  while (done < target.byteLength) {
    const { bytesRead } = await handle
      .read(target, done, target.byteLength - done, offset + done)
      .catch((error: unknown) => {
        throw storeError(error, name);
      });
    if (bytesRead === 0)
      throw new PpmlError("store.conflict", `"${name}" became shorter while it was read`);
    done += bytesRead;
  }
}
