import { isPpmlError, PpmlError, toHex } from "../base/index.ts";
import type { ByteSource, Secret } from "../base/index.ts";
import { openFooter, readSealedFooter } from "../format/parquet/index.ts";
import type { KeyPlace, TableFooter } from "../format/parquet/index.ts";
import type { ManifestFile } from "../format/manifest.ts";
import { checkLength } from "./accept-manifest.ts";

/** Gives the DEK that a PKMT1 key metadata names, or null where it was not released. */
export type TableKeyFor = (material: Uint8Array, place: KeyPlace) => Promise<Secret | null>;

/** Footer first, then the columns that it names: more rounds would be a loop. */
const MAX_ROUNDS = 3;

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
  const keys = new Map<string, Secret | null>();
  try {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const wanted = new Map<string, { readonly material: Uint8Array; readonly place: KeyPlace }>();
      const footer = tryOpen(
        () =>
          openFooter(sealed, {
            keyFor: (material, place) => {
              if (material === null) return null;
              const id = `${toHex(material)} ${place === "footer" ? "" : place.column}`;
              if (!keys.has(id)) wanted.set(id, { material, place });
              return keys.get(id) ?? null;
            },
          }),
        wanted,
      );
      if (footer !== null && wanted.size === 0) return footer;
      for (const [id, { material, place }] of wanted)
        keys.set(id, await options.keyFor(material, place));
    }
  } finally {
    for (const key of keys.values()) key?.[Symbol.dispose]();
  }
  throw new PpmlError("open.no_key", `the keys of ${expected.name} name each other without end`);
}

/** Null where the footer's key is still to be asked for. */
function tryOpen(
  open: () => TableFooter,
  wanted: ReadonlyMap<string, unknown>,
): TableFooter | null {
  try {
    return open();
  } catch (error) {
    if (isPpmlError(error, "open.no_key") && wanted.size > 0) return null;
    throw error;
  }
}
