import { timingSafeEqual } from "node:crypto";
import { fromBase64Url, PpmlError, toTimestamp } from "../base/index.ts";
import type { Secret } from "../base/index.ts";
import type { SigningKey } from "../format/jwk.ts";
import type { KekPublicKey, WrappedLocalKey } from "../format/kek.ts";
import { checkManifest, manifestRoot } from "../format/manifest.ts";
import type { Manifest, ManifestFile } from "../format/manifest.ts";
import type { VerifiedObject } from "../format/signed-object.ts";
import { toUnwrapRequest, wrapLocalKey } from "../key/index.ts";
import type { Vault } from "../key/index.ts";
import type { Store } from "../store/index.ts";
import { publishManifest } from "./publish-manifest.ts";
import type { ManifestAuthority, PublishedManifest } from "./publish-manifest.ts";
import { isSame, rewrapFile } from "./rewrap-file.ts";
import type { RewrapKeys } from "./rewrap-file.ts";

export type RewrapOptions = {
  readonly store: Store;
  /** The stored manifest, its owner's signature verified. */
  readonly envelope: VerifiedObject<Manifest>;
  /** The version of the manifest to sign: one more than the last that the authority accepted. */
  readonly version: number;
  readonly vault: Pick<Vault, "unwrapAll">;
  /** The current public half of every KEK of the manifest, by KEK id. */
  readonly targetKeks: ReadonlyMap<string, KekPublicKey>;
  readonly signer: SigningKey;
  readonly authority: ManifestAuthority;
  readonly nowMs: number;
  /** Files done so far, of all. */
  readonly onProgress?: (files: number, total: number) => void;
};

/**
 * Wraps a dataset's local keys under the current versions of their KEKs, in every stored file and
 * then in a new manifest; gives null where all are. No data page is read. Readers see the old version
 * until the new one is accepted, after an interruption too; then call it again.
 * @throws open.manifest, open.not_authentic, store.conflict, store.io, format.invalid, and what the
 * vault and the authority throw
 */
export async function rewrapDataset(options: RewrapOptions): Promise<PublishedManifest | null> {
  const { store, envelope, targetKeks, version, signer, authority } = options;
  const manifest = envelope.payload;
  checkManifest(manifest);
  if (manifest.localKeys.every((key) => targetOf(targetKeks, key).kekVersion === key.kekVersion))
    return null;
  using keys = await openKeys(options);
  const files: ManifestFile[] = [];
  for (const file of manifest.files) {
    files.push(await rewrapFile({ store, version, file, datasetId: manifest.datasetId, keys }));
    options.onProgress?.(files.length, manifest.files.length);
  }
  // A manifest without files still has keys to move.
  await keys.choose(manifest.localKeys);
  const next: Manifest = {
    ...manifest,
    version,
    createdAt: toTimestamp(options.nowMs),
    files,
    localKeys: manifest.localKeys.map((key) => {
      const { id, kekId, kekVersion, wrapped } = keys.target(key);
      return { id, kekId, kekVersion, wrapped, group: key.group };
    }),
    merkleRoot: manifestRoot(files),
  };
  checkManifest(next);
  return publishManifest({ store, manifest: next, signer, authority });
}

async function openKeys(options: RewrapOptions): Promise<RewrapKeys & Disposable> {
  const { vault, targetKeks } = options;
  const { localKeys, groups } = options.envelope.payload;
  const rest = groups.find((group) => group.columns === null)?.name;
  // Footers are under the group of all other columns, whether its KEK was rotated or not.
  const opened = localKeys.filter(
    (key) => key.group === rest || targetOf(targetKeks, key).kekVersion !== key.kekVersion,
  );
  const secrets = await vault.unwrapAll(opened.map((key) => toUnwrapRequest(key)));
  const byId = new Map<string, { readonly secret: Secret; readonly kekId: string }>();
  for (const [index, { id, kekId }] of opened.entries()) {
    const secret = secrets[index];
    if (secret !== undefined) byId.set(id, { secret, kekId });
  }
  const targets = new Map<string, WrappedLocalKey>();
  for (const { group: _, ...key } of localKeys)
    if (targetOf(targetKeks, key).kekVersion === key.kekVersion) targets.set(key.id, key);
  const localKey: RewrapKeys["localKey"] = ({ id, kekId }) => {
    const found = byId.get(id);
    if (found?.kekId === kekId) return found.secret;
    throw unknownKey(id);
  };
  return {
    localKey,
    choose: async (found) => {
      for (const wrap of found) {
        if (targets.has(wrap.id)) continue;
        const kek = targetOf(targetKeks, wrap);
        const secret = localKey(wrap);
        const isOwn = wrap.kekVersion === kek.kekVersion && (await opensTo(vault, wrap, secret));
        const { id, kekId, kekVersion, wrapped } = isOwn
          ? wrap
          : wrapLocalKey({ localKey: secret, localKeyId: fromBase64Url(wrap.id), kek });
        targets.set(id, { id, kekId, kekVersion, wrapped });
      }
    },
    target: (wrap) => {
      const target = targets.get(wrap.id);
      if (target?.kekId !== wrap.kekId) throw unknownKey(wrap.id);
      return isSame(target, wrap) ? wrap : target;
    },
    [Symbol.dispose]: () => {
      for (const secret of secrets) secret[Symbol.dispose]();
    },
  };
}

/** Tells whether a wrap that an earlier run may have left holds that very local key. */
async function opensTo(
  vault: RewrapOptions["vault"],
  wrap: WrappedLocalKey,
  expected: Secret,
): Promise<boolean> {
  const [found] = await vault.unwrapAll([toUnwrapRequest(wrap)]);
  if (found === undefined) return false;
  using secret = found;
  return secret.expose((a) =>
    expected.expose((b) => a.byteLength === b.byteLength && timingSafeEqual(a, b)),
  );
}

function targetOf(
  targetKeks: ReadonlyMap<string, KekPublicKey>,
  key: { readonly kekId: string },
): KekPublicKey {
  const kek = targetKeks.get(key.kekId);
  if (kek !== undefined) return kek;
  throw new PpmlError(
    "open.manifest",
    `a wrap names KEK ${key.kekId}, whose current version was not given: name every KEK of the manifest`,
  );
}

function unknownKey(id: string): PpmlError {
  return new PpmlError(
    "open.manifest",
    `a stored file names local key ${id}, which the manifest does not list under that KEK: it was replaced`,
  );
}
