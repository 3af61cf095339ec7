import { randomBytes } from "node:crypto";
import { lstat, mkdir, open, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
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
import { freeChunk } from "../store/index.ts";
import type { StoreSource } from "../store/index.ts";
import type { DatasetTable } from "./dataset-tables.ts";
import type { OwnerRelease } from "./owner-release.ts";
import { localKeysOf } from "./preview.ts";

/**
 * Writes plaintext files of a dataset's tables into a folder, on the owner's explicit wish. Files
 * appear under their names, a result under its query's, only when all of them were wholly authentic;
 * otherwise nothing is left.
 * @throws cli.exists where a folder has a file's name, and what opening throws
 */
export async function openToFolder(
  release: OwnerRelease,
  options: { readonly tables: readonly DatasetTable[]; readonly folder: string },
): Promise<string[]> {
  const keys = localKeysOf(release);
  const written: { readonly path: string; readonly temporary: string }[] = [];
  try {
    for (const { file, name } of options.tables.flatMap(namedFiles)) {
      await using source = await release.store.source(file.name);
      const path = join(options.folder, name);
      await checkStored(file, source);
      await refuseFolder(path);
      await mkdir(dirname(path), { recursive: true });
      const temporary = `${path}.${randomBytes(8).toString("hex")}.ppml-part`;
      written.push({ path, temporary });
      await using handle = await open(temporary, "wx", 0o600);
      const opening = { release, file, source, keys, handle };
      await (file.kind === "table" ? writeTable(opening) : writeFile(opening));
    }
    for (const { path, temporary } of written) await rename(temporary, path);
  } catch (error) {
    for (const { temporary } of written) await rm(temporary, { force: true });
    throw error;
  }
  return written.map(({ path }) => path);
}

/** The files with the names that they are written under. */
function namedFiles(table: DatasetTable): { readonly file: ManifestFile; readonly name: string }[] {
  return table.files.map((file) => ({
    file,
    name: table.name === null ? file.name.replace(/^v\d+\//, "") : `${table.name}.parquet`,
  }));
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
  /** The temporary file; written from its beginning. */
  readonly handle: FileHandle;
};

async function writeFile(opening: Opening): Promise<void> {
  const { release, file, source, keys, handle } = opening;
  const { datasetId } = release.manifest.payload;
  const opened = await openSealedFile({
    source,
    expected: { ...file, datasetId },
    localKeyFor: ({ id, kekId }) => releasedKey(keys, { id, kekId }),
  });
  // A chunk is written while the next is decrypted; its memory is then free for another.
  let writing = Promise.resolve();
  for await (const chunk of opened.stream()) {
    await writing;
    writing = writeAll(handle, chunk).then(() => freeChunk(chunk));
    // The error is met at the next chunk; meanwhile it must not end the process.
    writing.catch(() => {});
  }
  await writing;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength;)
    done += (await handle.write(bytes, done)).bytesWritten;
}

async function writeTable({ file, source, keys, handle }: Opening): Promise<void> {
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
  await decryptTable({
    source,
    footer,
    columns: "all",
    unauthenticated: "refuse",
    write: (bytes) => writeAll(handle, bytes),
  });
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
