import { parseJson } from "../format/jcs.ts";
import { MANIFEST_NAME, manifestSchema } from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import { parseEnvelope, peekObject } from "../format/signed-object.ts";
import type { Envelope, Unverified } from "../format/signed-object.ts";
import type { Store } from "../store/index.ts";

/** A dataset's manifest as it is stored; nothing vouches for it yet. */
export type StoredManifest = {
  readonly envelope: Envelope;
  readonly unverified: Unverified<Manifest>;
};

/** Loads a dataset's stored manifest; null where there is none. @throws format.invalid, store.io */
export async function loadStoredManifest(store: Store): Promise<StoredManifest | null> {
  if ((await store.head(MANIFEST_NAME)) === null) return null;
  await using source = await store.source(MANIFEST_NAME);
  const envelope = parseEnvelope(parseJson(await source.read(0, source.size), MANIFEST_NAME));
  return {
    envelope,
    unverified: peekObject({ kind: "manifest", schema: manifestSchema, envelope }),
  };
}
