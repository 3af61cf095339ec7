import { PpmlError, toHex } from "../base/index.ts";
import type { ByteSource, Secret } from "../base/index.ts";
// Not from the format's index: the engine's worker loads faster without what it has no use for.
import { askForFooter } from "../format/parquet/open-footer.ts";
import { readSealedFooter } from "../format/parquet/sealed-footer.ts";
import type { KeyPlace, TableFooter } from "../format/parquet/table-footer.ts";
import type { ManifestFile } from "../format/manifest.ts";
import { checkLength } from "./check-length.ts";

/** Gives the DEK that a PKMT1 key metadata names, or null where it was not released. */
export type TableKeyFor = (material: Uint8Array, place: KeyPlace) => Promise<Secret | null>;

/**
 * Opens a sealed table's footer after comparing the stored file with the manifest. Columns whose
 * key is not given stay closed; no page is read.
 * @throws open.plaintext, open.manifest, open.no_key, open.not_authentic, format.invalid
 */
export async function openTable(options: {
  readonly source: ByteSource;
  readonly expected: ManifestFile;
  readonly keyFor: TableKeyFor;
}): Promise<TableFooter> {
  const { source, expected } = options;
  const sealed = await readSealedFooter(source);
  if (sealed.kind !== "encrypted-footer")
    throw new PpmlError(
      "open.plaintext",
      `${expected.name} is a plaintext Parquet file, the manifest lists a sealed table: it was replaced; put the sealed file back`,
    );
  checkLength(expected, source.size);
  if (toHex(sealed.digest) !== expected.digest)
    throw new PpmlError(
      "open.manifest",
      `${expected.name} has another footer than the manifest lists: another table is in its place, or it was changed`,
      { detail: { expected: expected.digest, actual: toHex(sealed.digest) } },
    );
  return await askForFooter(sealed, {
    keyFor: (material, place) =>
      material === null ? Promise.resolve(null) : options.keyFor(material, place),
  });
}
