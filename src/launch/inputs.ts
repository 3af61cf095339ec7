import { isPpmlError, PpmlError } from "../base/index.ts";
import { MANIFEST_NAME, manifestSchema } from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import type { Job } from "../format/job.ts";
import type { WrappedLocalKey } from "../format/kek.ts";
import type { ManifestFloor } from "../format/grant.ts";
import { peekObject } from "../format/signed-object.ts";
import type { Envelope } from "../format/signed-object.ts";
import { loadEnvelope, loadPinned } from "../seal/stored-manifest.ts";
import type { Store } from "../store/index.ts";

type JobInput = Job["inputs"][number];

/** An input before any key is there: its store and a manifest that nobody vouches for yet. */
export type CandidateInput = {
  readonly input: JobInput;
  readonly store: Store;
  readonly envelope: Envelope;
  /** The wrapped local keys of the column groups that the job reads. */
  readonly keys: readonly WrappedLocalKey[];
};

/**
 * Reads the manifest envelope of a dataset's store: the one that the broker says it accepted where its
 * publication is not finished, otherwise the one in place. Nothing vouches for it yet.
 * @param floor the dataset's floor as the broker says it, a hint only; null where it is not known
 * @throws store.not_found, format.invalid
 */
export async function loadManifest(store: Store, floor: ManifestFloor | null): Promise<Envelope> {
  const pinned = floor === null ? null : await loadPinned(store, floor);
  return pinned?.envelope ?? (await loadEnvelope(store, MANIFEST_NAME));
}

/**
 * Reads an input's manifest only to learn which wrapped keys to ask for. Nothing of it is believed
 * before the release has named the accepted signer and the lowest version.
 */
export async function loadCandidate(
  input: JobInput,
  from: { readonly store: Store; readonly floor: ManifestFloor },
): Promise<CandidateInput> {
  const { store, floor } = from;
  const envelope = await loadManifest(store, floor).catch((cause: unknown) => {
    if (cause instanceof PpmlError && cause.code === "store.not_found")
      throw new PpmlError(
        "open.manifest",
        `the store of input ${input.name} holds no ${MANIFEST_NAME}: seal the dataset first, or put it back`,
        { cause },
      );
    throw namingDataset(cause, input.name);
  });
  const { payload } = peekObject({ kind: "manifest", schema: manifestSchema, envelope });
  if (payload.datasetId !== input.datasetId)
    throw new PpmlError(
      "open.manifest",
      `the job reads dataset ${input.datasetId} as ${input.name}, its store holds ${payload.datasetId} (${payload.name})`,
    );
  if (payload.tables !== undefined)
    throw new PpmlError(
      "launch.job",
      `${payload.name} holds the results of ${payload.tables.length} queries, which are no one table: a job cannot read it as ${input.name}`,
    );
  const groups = neededGroups(payload, input.columns);
  const keys = payload.localKeys
    .filter((key) => groups.has(key.group))
    .map(({ id, kekId, kekVersion, wrapped }) => ({ id, kekId, kekVersion, wrapped }));
  return { input, store, envelope, keys };
}

/** Says of which dataset it is that the stored manifest cannot be read. */
export function namingDataset(cause: unknown, dataset: string): unknown {
  if (!isPpmlError(cause) || !cause.code.startsWith("format.")) return cause;
  const remedy = `put the right ${MANIFEST_NAME} back, or seal ${dataset} again`;
  const message = `the stored manifest of ${dataset}: ${cause.message}`;
  return new PpmlError(cause.code, message, { cause, detail: { ...cause.detail, remedy } });
}

/**
 * Says of a wrapped key that its KEK does not open which stored manifest it came from; what else went
 * wrong stays as it is.
 * @param holders who asked with which keys
 */
export function namingHolder(
  cause: unknown,
  holders: readonly { readonly dataset: string; readonly keys: readonly WrappedLocalKey[] }[],
): unknown {
  if (!isPpmlError(cause, "key.unwrap_failed")) return cause;
  const { kekId, kekVersion } = cause.detail;
  const found = holders
    .filter(({ keys }) => keys.some((key) => key.kekId === kekId && key.kekVersion === kekVersion))
    .map(({ dataset }) => dataset);
  if (found.length === 0) return cause;
  const names = found.join(" or ");
  const message = `the stored manifest of ${names} holds a wrapped key that its KEK does not open: ${cause.message}`;
  const remedy = `put the right ${MANIFEST_NAME} back, or seal ${names} again`;
  return new PpmlError(cause.code, message, { cause, detail: { ...cause.detail, remedy } });
}

/**
 * The groups that a job needs: those of its columns, and always the one of the columns that are not
 * named, whose key opens a table's footer.
 */
export function neededGroups(manifest: Manifest, columns: readonly string[] | null): Set<string> {
  const needed = new Set<string>();
  for (const group of manifest.groups) {
    const grouped = group.columns;
    if (grouped === null || columns === null) needed.add(group.name);
    else if (columns.some((column) => grouped.includes(topLevel(column, grouped))))
      needed.add(group.name);
  }
  return needed;
}

function topLevel(column: string, grouped: readonly string[]): string {
  return grouped.find((name) => name === column || name.startsWith(`${column}.`)) ?? column;
}
