import { fromHex, isPpmlError, PpmlError, toHex, toTimestamp } from "../base/index.ts";
import type { ByteSource } from "../base/index.ts";
import { sealParquet } from "../format/parquet/index.ts";
import type { SealedColumn } from "../format/parquet/index.ts";
import { manifestRoot, manifestSchema } from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import type { SigningKey } from "../format/jwk.ts";
import { parseWith } from "../format/schema.ts";
import { SEALED_FILE_HEADER_BYTES } from "../format/sealed-file/index.ts";
import { freeChunk } from "../store/index.ts";
import type { Store } from "../store/index.ts";
import { makeGroupKey, restGroup } from "./group-key.ts";
import type { GroupKey, GroupPlan } from "./group-key.ts";
import { findDone } from "./journal.ts";
import type { SealedInput, SealJournal } from "./journal.ts";
import { sealFile } from "./seal-file.ts";
import { publishManifest } from "./publish-manifest.ts";
import type { ManifestAuthority, PublishedManifest } from "./publish-manifest.ts";
import { makeTableKey } from "./table-key.ts";

/** One plaintext to seal: under which name, as what, and its bytes. */
export type SealInput = {
  readonly name: string;
  readonly kind: "table" | "file";
  /** The plaintext; with an etag it can be told from a changed one. */
  readonly open: () => Promise<ByteSource & AsyncDisposable & { readonly etag?: string }>;
};

export type SealDatasetOptions = {
  readonly store: Store;
  readonly datasetId: string;
  readonly name: string;
  /** The version of the manifest to sign: one more than the last. */
  readonly version: number;
  readonly groups: readonly GroupPlan[];
  readonly inputs: readonly SealInput[];
  readonly signer: SigningKey;
  readonly authority: ManifestAuthority;
  readonly nowMs: number;
  /**
   * Partitioned tables keep values in their files' paths, as in `country=DE/part-0.parquet`, and names
   * stand in the clear in stores and manifests.
   */
  readonly valuesInPaths: "refuse" | "allow";
  /** Stored bytes so far. */
  readonly onProgress?: (bytes: number) => void;
  /** What an earlier run had finished; with it, what was stored stays where the store fails. */
  readonly journal?: SealJournal;
};

type Sealed = Omit<SealedInput, "etag">;

/**
 * Seals a dataset: each input under a DEK of its own, each column group under its KEK, then the
 * signed manifest. Readers see the old version until the authority accepted the manifest, then the new
 * one: they pass over folders of higher versions than their manifest's. Where an input fails, what was stored
 * of the new version is removed; with a journal, and where not the input itself is at fault, it is kept for
 * the next run. The old version stays readable.
 * @throws seal.plan, seal.input, and what the store, the inputs and the authority throw
 */
export async function sealDataset(options: SealDatasetOptions): Promise<PublishedManifest> {
  const { inputs } = options;
  if (inputs.length === 0) throw new PpmlError("seal.input", `${options.name} has nothing to seal`);
  if (options.valuesInPaths === "refuse") requireNoValues(inputs);
  using stack = new DisposableStack();
  const groups = options.groups.map((plan) => stack.use(makeGroupKey(plan)));
  const sealed = await sealInputs({ options, groups, rest: restGroup(groups) });
  const files = sealed.map((one) => one.file);
  const manifest = parseWith(
    manifestSchema,
    {
      v: 1,
      datasetId: options.datasetId,
      name: options.name,
      version: options.version,
      createdAt: toTimestamp(options.nowMs),
      files,
      localKeys: localKeysOf(groups, sealed),
      groups: groups.map(({ name, kekId, columns }) => ({ name, kekId, columns })),
      schema: commonSchema(sealed),
      merkleRoot: manifestRoot(files),
    },
    { what: "manifest", code: "seal.plan" },
  );
  const { store, signer, authority } = options;
  return publishManifest({ store, manifest, signer, authority });
}

/** A folder named `column=value` tells that value to whoever lists the store. */
function requireNoValues(inputs: readonly SealInput[]): void {
  for (const { name } of inputs) {
    const value = name.split("/").find((part) => /^[^=]+=/.test(part));
    if (value !== undefined)
      throw new PpmlError(
        "seal.plan",
        `the path ${name} holds a value (${value}), and paths are not sealed: write the table without partitions, or say \`valuesInPaths: allow\` if everybody may read such values`,
        { detail: { name } },
      );
  }
}

async function sealInputs(plan: Pick<SealJob, "options" | "groups" | "rest">): Promise<Sealed[]> {
  const { inputs, store, journal, onProgress } = plan.options;
  const sealed: Sealed[] = [];
  const stored = inputs.map(() => 0);
  const failed: unknown[] = [];
  const count = (index: number, bytes: number): void => {
    stored[index] = bytes;
    onProgress?.(stored.reduce((sum, one) => sum + one, 0));
  };
  const rest = inputs.entries();
  const worker = async (): Promise<void> => {
    for (const [index, input] of rest) {
      if (failed.length > 0) return;
      try {
        sealed[index] = await sealInput(plan, input, (bytes) => count(index, bytes));
      } catch (error) {
        failed.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(store.putsAtOnce, inputs.length) }, worker));
  try {
    if (failed.length > 0) throw failed[0];
    // Here, where a difference can still be undone.
    commonSchema(sealed);
    return sealed;
  } catch (error) {
    if (journal === undefined || isOfInputs(error))
      for (const one of sealed)
        // What cannot be removed now, the next sealing removes; the first error is the one to tell.
        // Where inputs are sealed at once, one may have failed before another was done.
        if (one !== undefined) await store.delete(one.file.name).catch(() => undefined);
    throw error;
  }
}

/** Whether the inputs themselves are refused: sealing them again would end in the same way. */
function isOfInputs(error: unknown): boolean {
  return isPpmlError(error) && /^(format|seal)\./.test(error.code);
}

async function sealInput(
  plan: Pick<SealJob, "options" | "groups" | "rest">,
  input: SealInput,
  count: (bytes: number) => void,
): Promise<Sealed> {
  const { store, version, journal } = plan.options;
  await using source = await input.open();
  const { name, kind } = input;
  const key = source.etag === undefined ? null : { name, kind, plaintext: source.etag };
  const done = await findDone(store, journal, key);
  if (done !== null) {
    count(done.file.length);
    return done;
  }
  const job = { ...plan, name: `v${version}/${name}`, source, count };
  const one =
    kind === "table"
      ? await sealTable(job).catch((cause: unknown) => {
          throw namingInput(cause, name);
        })
      : await sealOneFile(job);
  if (key !== null) await journal?.add(key, one);
  return one;
}

/** One local key a group, and those of files that an earlier run sealed. */
function localKeysOf(
  groups: readonly GroupKey[],
  sealed: readonly Sealed[],
): Manifest["localKeys"] {
  const keys = new Map<string, Manifest["localKeys"][number]>();
  for (const { localKeys } of sealed) for (const key of localKeys) keys.set(key.id, key);
  // Of a group that no file uses, the manifest still names the key.
  for (const group of groups) {
    const isNamed = [...keys.values()].some((key) => key.group === group.name);
    if (!isNamed) keys.set(group.wrapped.id, { ...group.wrapped, group: group.name });
  }
  return [...keys.values()];
}

/** Says of which plaintext it is that a table's parser speaks. */
function namingInput(cause: unknown, name: string): unknown {
  if (!isPpmlError(cause) || !cause.code.startsWith("format.")) return cause;
  const remedy = `put a whole Parquet file there, or say "kind: file" for the dataset`;
  const message = `${name} cannot be sealed as a table: ${cause.message}`;
  return new PpmlError(cause.code, message, { cause, detail: { ...cause.detail, name, remedy } });
}

type SealJob = {
  readonly options: SealDatasetOptions;
  readonly name: string;
  readonly source: ByteSource;
  readonly groups: readonly GroupKey[];
  readonly rest: GroupKey;
  readonly count: (bytes: number) => void;
};

async function sealTable(job: SealJob): Promise<SealedInput> {
  using stack = new DisposableStack();
  const footerKey = stack.use(makeTableKey(job.rest, { isFooterKey: true }));
  const columnKeys = job.groups.flatMap((group) =>
    group.columns === null
      ? []
      : [{ ...stack.use(makeTableKey(group, { isFooterKey: false })), columns: group.columns }],
  );
  const sealing = sealParquet({ source: job.source, footerKey, columnKeys });
  const { result: table, etag } = await putStream(job, sealing);
  return {
    etag,
    localKeys: job.groups.map(({ wrapped, name }) => ({ ...wrapped, group: name })),
    file: {
      name: job.name,
      kind: "table",
      fileId: toHex(table.fileUnique),
      length: table.length,
      size: table.rows,
      digest: toHex(table.footerDigest),
    },
    schema: schemaOf(table.columns),
  };
}

async function sealOneFile(job: SealJob): Promise<SealedInput> {
  const { localKey, wrapped } = job.rest;
  const { datasetId } = job.options;
  fromHex(datasetId);
  const sealing = sealFile({
    plaintext: job.source,
    datasetId,
    localKey: { key: localKey, wrapped },
  });
  // Re-wrapping rewrites the header alone.
  const { result, etag } = await putStream(job, sealing, SEALED_FILE_HEADER_BYTES);
  const { fileId, length, plaintextLength, digest } = result;
  return {
    etag,
    localKeys: [{ ...wrapped, group: job.rest.name }],
    file: { name: job.name, kind: "file", fileId, length, size: plaintextLength, digest },
    schema: null,
  };
}

/** Puts what a sealing yields, and gives what it returns. */
async function putStream<T>(
  job: SealJob,
  sealing: AsyncGenerator<Uint8Array, T>,
  headBytes = 0,
): Promise<{ readonly result: T; readonly etag: string }> {
  const returned: { value: T }[] = [];
  let bytes = 0;
  async function* chunks(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const next = await sealing.next();
      if (next.done === true) {
        returned.push({ value: next.value });
        return;
      }
      bytes += next.value.byteLength;
      job.count(bytes);
      yield next.value;
    }
  }
  const { store } = job.options;
  const { etag } = await store.put(job.name, chunks(), { headBytes, recycle: freeChunk });
  const [result] = returned;
  if (result === undefined)
    throw new PpmlError("base.internal", "a sealing ended without a result");
  return { result: result.value, etag };
}

function schemaOf(columns: readonly SealedColumn[]): Manifest["schema"] {
  return columns.map((column) => ({ name: column.path, type: column.logicalType ?? column.type }));
}

/** The tables' one schema; null without tables. @throws seal.input where they differ */
function commonSchema(sealed: readonly Sealed[]): Manifest["schema"] {
  const schemas = sealed.flatMap((one) => (one.schema === null ? [] : [one]));
  const first = schemas[0];
  if (first === undefined) return null;
  const wanted = JSON.stringify(first.schema);
  const other = schemas.find((one) => JSON.stringify(one.schema) !== wanted);
  if (other !== undefined)
    throw new PpmlError(
      "seal.input",
      `${other.file.name} has other columns than ${first.file.name}: tables of one dataset share their columns; make two datasets`,
    );
  return first.schema;
}
