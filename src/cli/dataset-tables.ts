import { PpmlError } from "../base/index.ts";
import type { Manifest, ManifestFile } from "../format/manifest.ts";

/** A table of a dataset with its files. */
export type DatasetTable = {
  /** Null where the dataset is one table. */
  readonly name: string | null;
  readonly files: readonly ManifestFile[];
};

/**
 * The tables of a dataset: one of all its files, or one a file where a job of several queries made it.
 * @param only name of the one that is wanted; all where it is left out
 * @throws cli.usage where the dataset has no such table
 */
export function tablesOf(manifest: Manifest, only?: string): readonly DatasetTable[] {
  const { tables, files } = manifest;
  const all: readonly DatasetTable[] =
    tables === undefined
      ? [{ name: null, files }]
      : tables.map(({ name, file }) => ({
          name,
          files: files.filter((one) => one.name === file),
        }));
  if (only === undefined) return all;
  const found = all.filter(({ name }) => name === only);
  if (found.length > 0) return found;
  const names = tables?.map(({ name }) => name).join(", ");
  throw new PpmlError(
    "cli.usage",
    names === undefined
      ? `${manifest.name} is one table: leave --table out`
      : `${manifest.name} has no table ${only}; it has ${names}`,
  );
}
