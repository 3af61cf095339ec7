import { PpmlError } from "../base/index.ts";
import type { ManifestFloor } from "../format/grant.ts";
import { MANIFEST_NAME, manifestSchema } from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import { peekObject } from "../format/signed-object.ts";
import type { Envelope, Unverified } from "../format/signed-object.ts";
import { loadManifest } from "../launch/index.ts";
import { loadPinned } from "../seal/index.ts";
import type { Store } from "../store/index.ts";

/** A dataset's manifest as it is stored; nothing vouches for it yet. */
export type StoredManifest = {
  readonly envelope: Envelope;
  readonly unverified: Unverified<Manifest>;
};

/**
 * Loads a dataset's stored manifest; null where there is none.
 * @param floor the dataset's floor where it is known: a manifest that it pins, whose publication is not
 * finished, is the one that readers take
 * @throws open.manifest where it is none, store.io
 */
export async function loadStoredManifest(
  store: Store,
  dataset: string,
  floor: ManifestFloor | null = null,
): Promise<StoredManifest | null> {
  const isThere = (await store.head(MANIFEST_NAME)) !== null;
  if (!isThere && (floor === null || (await loadPinned(store, floor)) === null)) return null;
  try {
    const envelope = await loadManifest(store, floor);
    return {
      envelope,
      unverified: peekObject({ kind: "manifest", schema: manifestSchema, envelope }),
    };
  } catch (cause) {
    if (!(cause instanceof PpmlError) || !cause.code.startsWith("format.")) throw cause;
    throw new PpmlError("open.manifest", `the stored manifest of ${dataset}: ${cause.message}`, {
      cause,
      detail: { remedy: `put the right ${MANIFEST_NAME} back, or remove it and seal again` },
    });
  }
}
