import { isPpmlError, PpmlError, utf8 } from "../base/index.ts";
import type { ManifestFloor } from "../format/grant.ts";
import {
  MANIFEST_NAME,
  pendingManifestName,
  pendingVersionOf,
  versionOfName,
} from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import type { SigningKey } from "../format/jwk.ts";
import { envelopeDigest, signObject } from "../format/signed-object.ts";
import type { Envelope } from "../format/signed-object.ts";
import type { Store } from "../store/index.ts";
import { loadPinned, readPlaced } from "./stored-manifest.ts";

/** A manifest as it was signed and stored. */
export type PublishedManifest = {
  readonly manifest: Manifest;
  readonly envelope: Envelope;
  /** SHA-256 of the signed payload, hex. */
  readonly digest: string;
};

/** Who decides which manifest of a dataset is the latest: the broker, for one dataset. */
export type ManifestAuthority = {
  /**
   * Has the dataset's floor rise to the manifest and pin its digest.
   * @throws broker.floor and others where it is refused; broker.unavailable, broker.state and
   * base.internal where it is not known what became of it
   */
  readonly accept: (manifest: PublishedManifest) => Promise<void>;
  /** The digest that the floor pins now; null where no manifest was ever accepted. */
  readonly pinned: () => Promise<string | null>;
};

const UNKNOWN_OUTCOMES = new Set(["broker.unavailable", "broker.state", "base.internal"]);
const MAX_TRIES = 100;

/**
 * Signs a manifest and publishes it: it is put under a pending name, accepted by the authority, and
 * put in `manifest.json`'s place; then what it does not list is deleted of this and earlier versions,
 * and the pending name last. Killed anywhere, the store holds a version that readers accept: the old
 * one until the authority accepted the new one, the new one from then on.
 * @throws what the authority throws, and then the version is not published unless its outcome is not
 * known; store.io
 * @see docs/decisions/0007-the-broker-accepts-a-manifest-before-it-is-in-place.md
 */
export async function publishManifest(options: {
  readonly store: Store;
  readonly manifest: Manifest;
  readonly signer: SigningKey;
  readonly authority: ManifestAuthority;
  /** What waits stays where it is refused: another waits for it. Otherwise it is removed. */
  readonly keepsRefused?: boolean;
}): Promise<PublishedManifest> {
  const { store, manifest, authority } = options;
  const envelope = signObject("manifest", manifest, options.signer);
  const published = { manifest, envelope, digest: envelopeDigest(envelope) };
  const pending = pendingNameOf(published);
  await store.put(pending, [bytesOf(envelope)]);
  try {
    await authority.accept(published);
  } catch (error) {
    // The first error is the one to tell; what stays under a pending name, nobody takes.
    if (isRefusal(error) && options.keepsRefused !== true)
      await store.delete(pending).catch(() => undefined);
    throw error;
  }
  await finish(store, { published, pinned: () => authority.pinned() });
  return published;
}

/** Whether an authority's error says that the manifest is not, and never will be, accepted. */
export function isRefusal(error: unknown): boolean {
  return isPpmlError(error) && !UNKNOWN_OUTCOMES.has(error.code);
}

/**
 * Finishes a publication that was cut off after the authority had accepted the manifest; gives whether
 * there was one. Nothing else is changed.
 * @param options.floor the dataset's present floor
 * @throws store.io
 */
export async function settleManifest(options: {
  readonly store: Store;
  readonly floor: ManifestFloor;
  readonly pinned: ManifestAuthority["pinned"];
}): Promise<boolean> {
  const { store, pinned } = options;
  const waiting = await loadPinned(store, options.floor);
  if (waiting === null) return false;
  const { envelope, verified } = waiting;
  const published = { manifest: verified.payload, envelope, digest: verified.digest };
  await finish(store, { published, pinned });
  return true;
}

type Accepted = {
  readonly published: PublishedManifest;
  readonly pinned: ManifestAuthority["pinned"];
};

async function finish(store: Store, accepted: Accepted): Promise<void> {
  const { published } = accepted;
  // Where a newer one was accepted meanwhile, its publisher puts the store in order.
  if (!(await place(store, accepted))) return;
  await deleteOthers(store, published);
  await store.delete(pendingNameOf(published));
}

/** Puts the manifest in its place unless it is there; false where it is the latest no longer. */
async function place(store: Store, { published, pinned }: Accepted): Promise<boolean> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    // In this order: a newer one, accepted and placed after this look, changes the etag.
    const placed = await readPlaced(store);
    if ((await pinned()) !== published.digest) return false;
    if (placed?.digest === published.digest) return true;
    try {
      const condition = placed === null ? { ifNoneMatch: true as const } : { ifMatch: placed.etag };
      await store.put(MANIFEST_NAME, [bytesOf(published.envelope)], condition);
      return true;
    } catch (error) {
      if (!isPpmlError(error, "store.conflict") && !isPpmlError(error, "store.exists")) throw error;
    }
  }
  const message = `${MANIFEST_NAME} of ${published.manifest.name} is changed by others all the time: let one end, then repeat`;
  throw new PpmlError("store.conflict", message);
}

/** Files of later versions are somebody's who seals one: that version's publication looks after them. */
async function deleteOthers(store: Store, { manifest, digest }: PublishedManifest): Promise<void> {
  const { version } = manifest;
  const kept = new Set(manifest.files.map((file) => file.name));
  kept.add(pendingManifestName({ version, digest }));
  const isOld = (name: string): boolean => {
    const of = versionOfName(name) ?? pendingVersionOf(name);
    return of !== null && of <= version && !kept.has(name);
  };
  for await (const { name } of store.list("")) if (isOld(name)) await store.delete(name);
}

function pendingNameOf({ manifest, digest }: PublishedManifest): string {
  return pendingManifestName({ version: manifest.version, digest });
}

function bytesOf(envelope: Envelope): Uint8Array {
  return utf8(`${JSON.stringify(envelope)}\n`);
}
