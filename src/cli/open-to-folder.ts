import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { lstat, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { PpmlError } from "../base/index.ts";
import type { Secret } from "../base/index.ts";
import {
  decryptTable,
  parseKeyMaterial,
  toWrappedLocalKey,
  unwrapDek,
} from "../format/parquet/index.ts";
import type { ManifestFile } from "../format/manifest.ts";
import { checkStored, openSealedFile, openTable } from "../open/index.ts";
import type { StoreSource } from "../store/index.ts";
import type { OwnerRelease } from "./owner-release.ts";
import { localKeysOf } from "./preview.ts";

/**
 * Writes a dataset's plaintext files into a folder, on the owner's explicit wish. Files appear under
 * their names only when all of them were wholly authentic; otherwise nothing is left.
 * @throws cli.exists where a folder has a file's name, and what opening throws
 */
export async function openToFolder(release: OwnerRelease, folder: string): Promise<string[]> {
  const keys = localKeysOf(release);
  const written: { readonly path: string; readonly temporary: string }[] = [];
  try {
    for (const file of release.manifest.payload.files) {
      await using source = await release.store.source(file.name);
      const path = join(folder, file.name.replace(/^v\d+\//, ""));
      await checkStored(file, source);
      await refuseFolder(path);
      await mkdir(dirname(path), { recursive: true });
      const temporary = `${path}.${randomBytes(8).toString("hex")}.ppml-part`;
      written.push({ path, temporary });
      const opening = { release, file, source, keys };
      await pipeline(
        file.kind === "table" ? tableBytes(opening) : fileBytes(opening),
        createWriteStream(temporary, { flags: "wx", mode: 0o600 }),
      );
    }
    for (const { path, temporary } of written) await rename(temporary, path);
  } catch (error) {
    for (const { temporary } of written) await rm(temporary, { force: true });
    throw error;
  }
  return written.map(({ path }) => path);
}

async function refuseFolder(path: string): Promise<void> {
  const info = await lstat(path).catch(() => null);
  if (info?.isDirectory() === true)
    throw new PpmlError("cli.exists", `${path} is a folder: name another folder with --out`);
}

type Opening = {
  readonly release: OwnerRelease;
  readonly file: ManifestFile;
  readonly source: StoreSource;
  readonly keys: ReturnType<typeof localKeysOf>;
};

async function* fileBytes({ release, file, source, keys }: Opening): AsyncGenerator<Uint8Array> {
  const { datasetId } = release.manifest.payload;
  const opened = await openSealedFile({
    source,
    expected: { ...file, datasetId },
    localKeyFor: ({ id, kekId }) => releasedKey(keys, { id, kekId }),
  });
  yield* opened.stream();
}

async function* tableBytes({ file, source, keys }: Opening): AsyncGenerator<Uint8Array> {
  const footer = await openTable({
    source,
    expected: file,
    keyFor: (material) => {
      const parsed = parseKeyMaterial(material);
      const { id, kekId } = toWrappedLocalKey(parsed);
      const localKey = releasedKey(keys, { id, kekId });
      if (localKey === null || !parsed.doubleWrapping) return Promise.resolve(null);
      const { wrappedDek: wrapped, localKeyId } = parsed;
      return Promise.resolve(unwrapDek({ wrapped, localKeyId, localKey }));
    },
  });
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const decrypting = decryptTable({
    source,
    footer,
    columns: "all",
    unauthenticated: "refuse",
    write: (bytes) => writer.write(Uint8Array.from(bytes)),
  }).then(
    () => writer.close(),
    (error: unknown) => writer.abort(error),
  );
  yield* readable;
  await decrypting;
}

function releasedKey(
  keys: Opening["keys"],
  wanted: { readonly id: string; readonly kekId: string },
): Secret | null {
  const found = keys.get(wanted.id);
  if (found !== undefined && found.kekId !== wanted.kekId)
    throw new PpmlError("open.not_authentic", "the file names another KEK than the release");
  return found?.key ?? null;
}
