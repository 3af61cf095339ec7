import { PpmlError, Secret } from "../base/index.ts";
import { KEY_OF } from "../compute/sql/frames.ts";
import type { Progress } from "../compute/sql/task.ts";
import type { WorkerServices } from "../compute/sql/run-worker.ts";
import { parseKeyMaterial, toWrappedLocalKey, unwrapDek } from "../format/parquet/key-material.ts";
import { parseSealedFileHeader } from "../format/sealed-file/header.ts";
import { unwrapFileDek } from "../format/sealed-file/unwrap-file-dek.ts";
import type { StoreSource } from "../store/index.ts";

/** Local keys that a release gave to this launcher, by id; they never leave it. */
export type LocalKeys = ReadonlyMap<string, { readonly kekId: string; readonly key: Secret }>;

/**
 * What the launcher does for its worker: ciphertext by range, and DEKs of what was released. The
 * worker never holds a local key, so it opens what it asked for and nothing else.
 */
export function makeWorkerServices(options: {
  /** Open stored files, by input and file. */
  readonly sources: readonly (readonly StoreSource[])[];
  readonly localKeys: LocalKeys;
  /** One a query, in their order. */
  readonly resultDeks: readonly Secret[];
  readonly output: WorkerServices["output"];
  readonly progress: (progress: Progress) => void;
}): WorkerServices {
  const { sources, localKeys, resultDeks } = options;
  return {
    read: ({ input, file, offset, length }) => {
      const source = sources[input]?.[file];
      if (source === undefined)
        throw new PpmlError(
          "compute.worker",
          `the worker asked for file ${file} of input ${input}`,
        );
      return source.read(offset, length);
    },
    descriptor: ({ input, file }) => sources[input]?.[file]?.descriptor ?? null,
    key: (kind, material) => {
      if (kind === KEY_OF.table) return Promise.resolve(tableDek(material, localKeys));
      if (kind === KEY_OF.file) return Promise.resolve(fileDek(material, localKeys));
      if (kind === KEY_OF.result) return Promise.resolve(resultDek(material, resultDeks));
      throw new PpmlError("compute.worker", `the worker asked for a key of kind ${kind}`);
    },
    output: options.output,
    progress: options.progress,
  };
}

function resultDek(place: Uint8Array, deks: readonly Secret[]): Secret {
  const query = place.byteLength === 4 ? new DataView(place.buffer, place.byteOffset) : null;
  const dek = query === null ? undefined : deks[query.getUint32(0, true)];
  if (dek === undefined)
    throw new PpmlError("compute.worker", "the worker asked for the key of a result there is not");
  return dek.expose((key) => Secret.copy(key));
}

function tableDek(material: Uint8Array, localKeys: LocalKeys): Secret {
  const parsed = parseKeyMaterial(material);
  const { id, kekId } = toWrappedLocalKey(parsed);
  if (!parsed.doubleWrapping)
    throw new PpmlError("base.internal", "ppml's keys are double-wrapped");
  const { wrappedDek: wrapped, localKeyId } = parsed;
  return unwrapDek({ wrapped, localKeyId, localKey: releasedKey(localKeys, { id, kekId }) });
}

function fileDek(headerBytes: Uint8Array, localKeys: LocalKeys): Secret {
  const header = parseSealedFileHeader(headerBytes);
  const { id, kekId } = header.wrap.key;
  return unwrapFileDek(header, releasedKey(localKeys, { id, kekId }));
}

function releasedKey(
  localKeys: LocalKeys,
  wanted: { readonly id: string; readonly kekId: string },
): Secret {
  const found = localKeys.get(wanted.id);
  if (found === undefined || found.kekId !== wanted.kekId)
    throw new PpmlError(
      "open.no_key",
      `no released key opens this: it needs local key ${wanted.id} under KEK ${wanted.kekId}`,
      { detail: { kekId: wanted.kekId, localKeyId: wanted.id } },
    );
  return found.key;
}
