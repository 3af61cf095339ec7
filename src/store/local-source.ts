import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { PpmlError } from "../base/index.ts";
import { localEtag, storeError } from "./local-io.ts";
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
    const close = (): Promise<void> => handle.close();
    return {
      size: Number(stats.size),
      etag: localEtag(stats),
      read: (offset, length) =>
        readExactly(handle, { offset, length, name, size: Number(stats.size) }),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await handle.close();
    throw storeError(error, name);
  }
}

type ReadRange = {
  readonly offset: number;
  readonly length: number;
  readonly name: string;
  readonly size: number;
};

async function readExactly(handle: FileHandle, range: ReadRange): Promise<Uint8Array> {
  const { offset, length, name, size } = range;
  if (
    !Number.isSafeInteger(offset) ||
    !Number.isSafeInteger(length) ||
    offset < 0 ||
    length < 0 ||
    offset + length > size
  )
    throw new PpmlError(
      "base.out_of_bounds",
      `bytes ${offset} to ${offset + length} are not in "${name}", which has ${size}`,
    );
  const buffer = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle
      .read(buffer, done, length - done, offset + done)
      .catch((error: unknown) => {
        throw storeError(error, name);
      });
    if (bytesRead === 0)
      throw new PpmlError("store.conflict", `"${name}" became shorter while it was read`);
    done += bytesRead;
  }
  return buffer;
}
