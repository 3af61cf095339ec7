import { utf8 } from "../base/index.ts";
import type { Manifest } from "../format/manifest.ts";
import { MANIFEST_NAME, versionOfName } from "../format/manifest.ts";
import type { SigningKey } from "../format/jwk.ts";
import { envelopeDigest, signObject } from "../format/signed-object.ts";
import type { Envelope } from "../format/signed-object.ts";
import type { PutCondition, Store } from "../store/index.ts";

/** A manifest as it was signed and stored. */
export type PublishedManifest = {
  readonly manifest: Manifest;
  readonly envelope: Envelope;
  /** SHA-256 of the signed payload, hex. */
  readonly digest: string;
};

/**
 * Signs a manifest and puts it: from then on readers see its version. Then the data files of this and
 * earlier versions that it does not list are deleted. Those of later versions are somebody's who seals
 * one, or are removed when that version is signed.
 * @throws store.conflict (ifMatch), store.exists (null), store.io
 */
export async function publishManifest(options: {
  readonly store: Store;
  readonly manifest: Manifest;
  readonly signer: SigningKey;
  /** Put only over that version of the stored manifest; null: only where there is none. */
  readonly ifMatch?: string | null;
}): Promise<PublishedManifest> {
  const { store, manifest } = options;
  const envelope = signObject("manifest", manifest, options.signer);
  const condition = conditionOf(options.ifMatch);
  await store.put(MANIFEST_NAME, [utf8(`${JSON.stringify(envelope)}\n`)], condition);
  await deleteOthers(store, manifest);
  return { manifest, envelope, digest: envelopeDigest(envelope) };
}

function conditionOf(ifMatch: string | null | undefined): PutCondition {
  if (ifMatch === undefined) return {};
  return ifMatch === null ? { ifNoneMatch: true } : { ifMatch };
}

async function deleteOthers(store: Store, manifest: Manifest): Promise<void> {
  const listed = new Set(manifest.files.map((file) => file.name));
  for await (const { name } of store.list("v")) {
    const version = versionOfName(name);
    if (version !== null && version <= manifest.version && !listed.has(name))
      await store.delete(name);
  }
}
