import { isPpmlError, PpmlError } from "../base/index.ts";
import type { ManifestFloor } from "../format/grant.ts";
import { parseJson } from "../format/jcs.ts";
import { manifestSchema, MANIFEST_NAME, pendingManifestName } from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import { envelopeDigest, parseEnvelope, verifyObject } from "../format/signed-object.ts";
import type { Envelope, VerifiedObject } from "../format/signed-object.ts";
import type { Store } from "../store/index.ts";

const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;

/** A manifest that waits in a store, and that the broker accepted. */
export type PinnedManifest = {
  readonly envelope: Envelope;
  readonly verified: VerifiedObject<Manifest>;
};

/** What lies as `manifest.json`: its etag, and its digest where it is an envelope at all. */
export type PlacedManifest = { readonly etag: string; readonly digest: string | null };

/**
 * Reads an envelope of a dataset's store; nothing vouches for it.
 * @throws store.not_found, format.invalid, format.too_large
 */
export async function loadEnvelope(store: Store, name: string): Promise<Envelope> {
  return (await readEnvelope(store, name)).envelope;
}

/**
 * Finds the manifest that a floor pins where its publication is not finished: under its pending name,
 * with the floor's digest and a signature of one of the floor's signers. Null where there is none.
 * @throws store.name, store.io
 */
export async function loadPinned(
  store: Store,
  floor: ManifestFloor,
): Promise<PinnedManifest | null> {
  const { minVersion: version, minDigest: digest, signers } = floor;
  if (digest === null) return null;
  try {
    const envelope = await loadEnvelope(store, pendingManifestName({ version, digest }));
    const verified = verifyObject({ kind: "manifest", schema: manifestSchema, envelope, signers });
    return verified.digest === digest ? { envelope, verified } : null;
  } catch (error) {
    // Whoever writes to the store may have put anything there: it is no manifest then.
    if (isPpmlError(error, "store.not_found")) return null;
    if (isPpmlError(error) && error.code.startsWith("format.")) return null;
    throw error;
  }
}

/** What lies in the manifest's place; null for nothing. @throws store.name, store.io */
export async function readPlaced(store: Store): Promise<PlacedManifest | null> {
  const stored = await store.head(MANIFEST_NAME);
  if (stored === null) return null;
  try {
    const { envelope, etag } = await readEnvelope(store, MANIFEST_NAME);
    return { etag, digest: envelopeDigest(envelope) };
  } catch (error) {
    if (isPpmlError(error, "store.not_found")) return null;
    if (isPpmlError(error) && error.code.startsWith("format."))
      return { etag: stored.etag, digest: null };
    throw error;
  }
}

async function readEnvelope(
  store: Store,
  name: string,
): Promise<{ readonly envelope: Envelope; readonly etag: string }> {
  await using source = await store.source(name);
  if (source.size > MAX_MANIFEST_BYTES)
    throw new PpmlError(
      "format.too_large",
      `${name} has ${source.size} bytes, expected at most ${MAX_MANIFEST_BYTES}: put the stored one back`,
    );
  const envelope = parseEnvelope(parseJson(await source.read(0, source.size), name));
  return { envelope, etag: source.etag };
}
