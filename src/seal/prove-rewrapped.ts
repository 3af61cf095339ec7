import { PpmlError } from "../base/index.ts";
import { parseJson } from "../format/jcs.ts";
import type { WrappedLocalKey } from "../format/kek.ts";
import { MANIFEST_NAME, manifestSchema, pendingVersionOf } from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import {
  parseKeyMaterial,
  readSealedFooter,
  rewrapFooter,
  toWrappedLocalKey,
  unwrapTableDek,
} from "../format/parquet/index.ts";
import {
  hasSealedFileMagic,
  parseSealedFileHeader,
  SEALED_FILE_HEADER_BYTES,
} from "../format/sealed-file/index.ts";
import { parseEnvelope, peekObject } from "../format/signed-object.ts";
import { toUnwrapRequest } from "../key/index.ts";
import type { Vault } from "../key/index.ts";
import type { Store, StoreSource } from "../store/index.ts";

/** A wrap that stands in a stored object. */
export type FoundWrap = {
  readonly object: string;
  readonly kekId: string;
  readonly kekVersion: string;
};

/** What the stored bytes of a dataset say of the KEK versions that they are under. */
export type RewrapProof = {
  /** Objects in the dataset's store. */
  readonly objects: number;
  /** Distinct wraps an object, summed by KEK version. */
  readonly wrapsFound: readonly {
    readonly kekId: string;
    readonly kekVersion: string;
    readonly count: number;
  }[];
  /** Wraps under versions that are not current: none after a whole re-wrap. */
  readonly oldFound: readonly FoundWrap[];
  /** Objects without a wrap that could be read: what they hold is not known. */
  readonly notRead: readonly string[];
  /** What no enumeration of the store can show. */
  readonly limits: string;
};

/** What the proof cannot see. */
export const PROOF_LIMITS =
  "This enumerates the objects that the store lists now. Copies, backups, snapshots, soft-deleted " +
  "objects and older versions that the storage keeps are not seen: as long as one exists, the old " +
  "KEK version opens it.";

/**
 * Enumerates the stored bytes of a dataset, wrap by wrap: headers, footers with their columns' key
 * metadata, and the manifest. The vault unwraps the footers' local key.
 * @throws open.not_authentic, format.invalid, store.io, and what the vault throws
 */
export async function proveRewrapped(options: {
  readonly store: Store;
  readonly manifest: Manifest;
  readonly vault: Pick<Vault, "unwrap">;
  /** The current version of each KEK, by KEK id. */
  readonly currentVersions: ReadonlyMap<string, string>;
}): Promise<RewrapProof> {
  const { store, manifest, currentVersions } = options;
  const found: FoundWrap[] = [];
  const notRead: string[] = [];
  let objects = 0;
  for await (const { name } of store.list("")) {
    objects += 1;
    await using source = await store.source(name);
    const wraps = await wrapsOf({ source, name, manifest, vault: options.vault });
    if (wraps === null) notRead.push(name);
    for (const { kekId, kekVersion } of wraps ?? [])
      found.push({ object: name, kekId, kekVersion });
  }
  const counts = new Map<string, RewrapProof["wrapsFound"][number]>();
  for (const { kekId, kekVersion } of found) {
    const key = `${kekId} ${kekVersion}`;
    counts.set(key, { kekId, kekVersion, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return {
    objects,
    wrapsFound: [...counts.values()],
    oldFound: found.filter((wrap) => currentVersions.get(wrap.kekId) !== wrap.kekVersion),
    notRead,
    limits: PROOF_LIMITS,
  };
}

async function wrapsOf(object: {
  readonly source: StoreSource;
  readonly name: string;
  readonly manifest: Manifest;
  readonly vault: Pick<Vault, "unwrap">;
}): Promise<readonly WrappedLocalKey[] | null> {
  const { source, name, manifest, vault } = object;
  if (name === MANIFEST_NAME || pendingVersionOf(name) !== null) {
    const envelope = parseEnvelope(parseJson(await source.read(0, source.size), name));
    return peekObject({ kind: "manifest", schema: manifestSchema, envelope }).payload.localKeys;
  }
  const start = await source.read(0, Math.min(source.size, SEALED_FILE_HEADER_BYTES));
  if (start.byteLength === SEALED_FILE_HEADER_BYTES && hasSealedFileMagic(start))
    return [parseSealedFileHeader(start).wrap.key];
  if (Buffer.from(start.subarray(0, 4)).toString("latin1") !== "PARE") return null;
  return tableWraps(source, { manifest, vault });
}

async function tableWraps(
  source: StoreSource,
  keys: { readonly manifest: Manifest; readonly vault: Pick<Vault, "unwrap"> },
): Promise<readonly WrappedLocalKey[]> {
  const sealed = await readSealedFooter(source);
  if (sealed.kind !== "encrypted-footer" || sealed.keyMetadata === null)
    throw new PpmlError("format.unsupported", "a table has no encrypted footer with key metadata");
  const material = parseKeyMaterial(sealed.keyMetadata);
  const wrap = toWrappedLocalKey(material);
  using localKey = await keys.vault.unwrap(toUnwrapRequest(wrap));
  using footerKey = unwrapTableDek(material, () => localKey);
  const found: WrappedLocalKey[] = [];
  // Asked for each distinct key metadata; what it makes is thrown away.
  rewrapFooter({
    sealed,
    footerKey,
    mapKeyMetadata: (metadata) => {
      found.push(toWrappedLocalKey(parseKeyMaterial(metadata)));
      return metadata;
    },
  });
  return found;
}
