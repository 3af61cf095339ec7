import { PpmlError } from "../base/index.ts";
import { verifyObject } from "../format/signed-object.ts";
import type { Envelope, VerifiedObject } from "../format/signed-object.ts";
import {
  checkManifest,
  MANIFEST_NAME,
  manifestSchema,
  pendingManifestName,
  pendingVersionOf,
  RECEIPT_NAME,
  versionOfName,
  waitingReceiptName,
} from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import type { ManifestFloor } from "../format/grant.ts";

/**
 * Accepts a stored manifest against what the release names: the dataset, the lowest version and
 * the signers. Reads no data page.
 * @throws format.signature, format.invalid, open.manifest for another dataset, open.rolled_back
 */
export function acceptManifest(envelope: Envelope, floor: ManifestFloor): VerifiedObject<Manifest> {
  const verified = verifyObject({
    kind: "manifest",
    schema: manifestSchema,
    envelope,
    signers: floor.signers,
  });
  const manifest = verified.payload;
  if (manifest.datasetId !== floor.datasetId)
    throw new PpmlError(
      "open.manifest",
      `expected the manifest of dataset ${floor.datasetId}, the store holds that of ${manifest.datasetId} (${manifest.name})`,
    );
  if (manifest.version < floor.minVersion)
    throw new PpmlError(
      "open.rolled_back",
      `the manifest of ${manifest.name} has version ${manifest.version}, the release allows none below ${floor.minVersion}: ` +
        "the store was rolled back; put the latest files back, or seal again",
      { detail: { version: manifest.version, minVersion: floor.minVersion } },
    );
  if (manifest.version === floor.minVersion && verified.digest !== floor.minDigest)
    throw new PpmlError(
      "open.manifest",
      `the manifest of ${manifest.name} is another one of version ${manifest.version} than the release names: put the right one back, or seal again`,
      { detail: { expected: floor.minDigest, actual: verified.digest } },
    );
  checkManifest(manifest);
  return verified;
}

/**
 * Compares the names in a dataset's folder with the manifest. Passed over, and never read, are what a
 * publication that is going on or was cut off leaves: files in folders of higher versions than the
 * manifest's, manifests under a pending name, and, as long as this very manifest has its pending name
 * too, files of its own and older versions, which are being deleted. Where a result of a job without a
 * broker came too late for this very version, its files are passed over as well.
 * @param accepted the manifest and the SHA-256 of its signed payload, 64 hex digits
 * @throws open.manifest for a missing or an added file
 * @see docs/format.md section "Publication"
 */
export function checkListing(
  accepted: { readonly payload: Manifest; readonly digest: string },
  stored: readonly string[],
): void {
  const { payload: manifest, digest } = accepted;
  const { name, version } = manifest;
  const listed = new Set(manifest.files.map((file) => file.name));
  const present = new Set(stored);
  const missing = manifest.files.find((file) => !present.has(file.name));
  if (missing !== undefined)
    throw new PpmlError(
      "open.manifest",
      `the manifest of ${name} lists ${missing.name}, which is missing from the store`,
    );
  const isUnfinished = present.has(pendingManifestName({ version, digest }));
  const isLate = present.has(waitingReceiptName(version));
  const isPassedOver = (file: string): boolean => {
    if (file === MANIFEST_NAME || file === RECEIPT_NAME || pendingVersionOf(file) !== null)
      return true;
    const of = versionOfName(file);
    return of !== null && (of > version || isUnfinished || (of === version && isLate));
  };
  const added = stored.find((file) => !listed.has(file) && !isPassedOver(file));
  if (added !== undefined)
    throw new PpmlError(
      "open.manifest",
      `the store holds ${added}, which the manifest of ${name} does not list: remove it, or seal again`,
    );
}
