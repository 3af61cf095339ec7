import { PpmlError, toHex } from "../base/index.ts";
import type { Secret } from "../base/index.ts";
import type { WrappedLocalKey } from "../format/kek.ts";
import type { ManifestFile } from "../format/manifest.ts";
import {
  encodeKeyMaterial,
  parseKeyMaterial,
  readSealedFooter,
  rewrapFooter,
  toKeyMaterial,
  toWrappedLocalKey,
  unwrapTableDek,
} from "../format/parquet/index.ts";
import {
  FIXED_PART_BYTES,
  fixedPartDigest,
  parseSealedFileHeader,
  rewrapHeader,
  SEALED_FILE_HEADER_BYTES,
  unwrapFileDek,
} from "../format/sealed-file/index.ts";
import type { Store, StoreSource } from "../store/index.ts";

/** The local keys of one re-wrapping: their bytes, and the wraps that are to stand in the files. */
export type RewrapKeys = {
  /** The local key of that id (base64url) under that KEK. @throws open.manifest for others */
  readonly localKey: (local: { readonly id: string; readonly kekId: string }) => Secret;
  /** Decides on the wraps to write, from those that a file has. */
  readonly choose: (found: readonly WrappedLocalKey[]) => Promise<void>;
  /** The wrap that replaces one: the same again where it is to stay. Valid after `choose`. */
  readonly target: (wrap: WrappedLocalKey) => WrappedLocalKey;
};

type FileJob = {
  readonly store: Store;
  /** The version that the re-wrapped dataset gets. */
  readonly version: number;
  readonly file: ManifestFile;
  readonly datasetId: string;
  readonly keys: RewrapKeys;
};

/**
 * Re-wraps one stored file where a wrap in it is not its target, and gives its new manifest entry.
 * Reads its header or footer only. A sealed file's wrap block, of which the manifest says nothing, is
 * rewritten in place; a table, whose footer's digest is in the manifest, becomes a file of the new
 * version, so that readers of the old one are not disturbed.
 * @throws open.manifest for a file that is not the manifest's nor a re-wrap of it; open.not_authentic,
 * format.invalid, store.conflict, store.io
 */
export async function rewrapFile(job: FileJob): Promise<ManifestFile> {
  await using source = await job.store.source(job.file.name);
  // Awaited here: the source is closed on the way out.
  return job.file.kind === "file"
    ? await rewrapSealedFile(job, source)
    : await rewrapTable(job, source);
}

async function rewrapSealedFile(job: FileJob, source: StoreSource): Promise<ManifestFile> {
  const { file, keys, store } = job;
  if (source.size !== file.length || source.size < SEALED_FILE_HEADER_BYTES) throw replaced(file);
  const bytes = await source.read(0, SEALED_FILE_HEADER_BYTES);
  const header = parseSealedFileHeader(bytes);
  const isListed =
    toHex(fixedPartDigest(bytes.subarray(0, FIXED_PART_BYTES))) === file.digest &&
    toHex(header.fileId) === file.fileId &&
    toHex(header.datasetId) === job.datasetId;
  if (!isListed) throw replaced(file);
  const { key } = header.wrap;
  // The manifest says nothing of the wrap block: the DEK and its commitment do.
  unwrapFileDek(header, keys.localKey(key))[Symbol.dispose]();
  await keys.choose([key]);
  const target = keys.target(key);
  if (isSame(key, target)) return file;
  const length = source.size - SEALED_FILE_HEADER_BYTES;
  await store.replace(file.name, {
    ifMatch: source.etag,
    parts: [
      { bytes: rewrapHeader(bytes, { ...header.wrap, key: target }) },
      { keep: { offset: SEALED_FILE_HEADER_BYTES, length } },
    ],
  });
  return file;
}

async function rewrapTable(job: FileJob, source: StoreSource): Promise<ManifestFile> {
  const { file, keys, store } = job;
  const sealed = await readSealedFooter(source);
  if (sealed.kind !== "encrypted-footer" || sealed.keyMetadata === null) throw replaced(file);
  if (toHex(sealed.crypto.fileUnique) !== file.fileId) throw replaced(file);
  const material = parseKeyMaterial(sealed.keyMetadata);
  // The DEK opens the footer or nothing is written: an own re-wrap, or the manifest's very file.
  using footerKey = unwrapTableDek(material, (local) => keys.localKey(local));
  const found: WrappedLocalKey[] = [];
  rewrapFooter({
    sealed,
    footerKey,
    mapKeyMetadata: (metadata) => {
      found.push(toWrappedLocalKey(parseKeyMaterial(metadata)));
      return metadata;
    },
  });
  await keys.choose(found);
  const isStored = toHex(sealed.digest) === file.digest && source.size === file.length;
  if (!isStored) throw replaced(file);
  if (found.every((wrap) => isSame(wrap, keys.target(wrap)))) return file;
  const renewed = rewrapFooter({
    sealed,
    footerKey,
    mapKeyMetadata: (metadata) => renew(metadata, keys),
  });
  const name = `v${job.version}/${file.name.replace(/^v\d+\//, "")}`;
  const { size } = await store.replace(file.name, {
    ifMatch: source.etag,
    parts: [{ keep: { offset: 0, length: sealed.offset } }, { bytes: renewed.fileEnd }],
    as: name,
  });
  return { ...file, name, length: size, digest: toHex(renewed.digest) };
}

function renew(metadata: Uint8Array, keys: RewrapKeys): Uint8Array {
  const material = parseKeyMaterial(metadata);
  const localKey = keys.target(toWrappedLocalKey(material));
  if (!material.doubleWrapping) return metadata;
  const { wrappedDek, isFooterKey } = material;
  return encodeKeyMaterial(toKeyMaterial({ localKey, wrappedDek, isFooterKey }));
}

/** Tells whether two wraps are the same bytes under the same KEK version. */
export function isSame(a: WrappedLocalKey, b: WrappedLocalKey): boolean {
  return (
    a.id === b.id && a.kekId === b.kekId && a.kekVersion === b.kekVersion && a.wrapped === b.wrapped
  );
}

function replaced(file: ManifestFile): PpmlError {
  return new PpmlError(
    "open.manifest",
    `${file.name} is neither the file that the manifest lists nor a re-wrap of it: it was replaced; put the sealed file back, or seal again`,
  );
}
