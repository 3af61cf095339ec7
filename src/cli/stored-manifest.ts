import { PpmlError } from "../base/index.ts";
import { MANIFEST_NAME, manifestSchema } from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import { peekObject } from "../format/signed-object.ts";
import type { Envelope, Unverified } from "../format/signed-object.ts";
import { loadManifest } from "../launch/index.ts";
import type { Store } from "../store/index.ts";

/** A dataset's manifest as it is stored; nothing vouches for it yet. */
export type StoredManifest = {
  readonly envelope: Envelope;
  readonly unverified: Unverified<Manifest>;
};

/**
 * Loads a dataset's stored manifest; null where there is none.
 * @throws open.manifest where it is none, store.io
 */
export async function loadStoredManifest(
  store: Store,
  dataset: string,
): Promise<StoredManifest | null> {
  if ((await store.head(MANIFEST_NAME)) === null) return null;
  try {
    const envelope = await loadManifest(store, null);
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
