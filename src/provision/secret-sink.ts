import { open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { PpmlError, type Secret } from "../base/index.ts";
import { errnoOf, publishFile, syncFolder, temporaryPath } from "../key/private-file.ts";

/** What a secret is, by the name that it has in a key vault. */
export type SecretName = "enclave-key-pem" | "key-pass";

/** Where a secret that was made goes: a file, or a key vault's secret. */
export type SecretSink = {
  /**
   * Keeps the secret there, whole or not at all; gives the place in words: a path or a URL.
   * @throws provision.exists provision.io
   */
  readonly put: (name: SecretName, secret: Secret) => Promise<string>;
};

/**
 * A sink that is one file of mode 0600. It is there as a whole or not at all, and not written over
 * unless `replace` says so.
 */
export function fileSink(options: {
  readonly path: string;
  readonly replace: boolean;
}): SecretSink {
  return {
    put: async (_name, secret) => {
      await writeSecretFile(secret, options);
      return options.path;
    },
  };
}

async function writeSecretFile(
  secret: Secret,
  { path, replace }: { readonly path: string; readonly replace: boolean },
): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    await writeDurably(temporary, secret);
    if (replace) {
      await rename(temporary, path);
      await syncFolder(dirname(path));
    } else await publishFile(temporary, path);
  } catch (cause) {
    if (errnoOf(cause) === "EEXIST") throw existsError(path);
    throw ioError(path, cause);
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

/** Writes a new file of mode 0600 and waits until the disk has it; rejects as node:fs does. */
export async function writeDurably(path: string, secret: Secret): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    // A part at a time is taken by the system: the bytes stay exposed until the last one is.
    for (let offset = 0; offset < secret.byteLength;) {
      const { bytesWritten } = await secret.expose((bytes) =>
        file.write(bytes, offset, bytes.byteLength - offset),
      );
      offset += bytesWritten;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The error of a path that is taken. */
export function existsError(path: string): PpmlError {
  return new PpmlError("provision.exists", `${path} exists and is not written over`, {
    detail: { path, remedy: "choose another place, or pass --force to replace it for ever" },
  });
}

/** The error of what the system refused. */
export function ioError(path: string, cause: unknown): PpmlError {
  if (cause instanceof PpmlError) return cause;
  const errno = errnoOf(cause);
  const message = `${path} cannot be written${errno === "" ? "" : ` (${errno})`}`;
  return new PpmlError("provision.io", message, { detail: { path }, cause });
}
