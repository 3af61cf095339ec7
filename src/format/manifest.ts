import { z } from "zod";
import { PpmlError, toHex } from "../base/index.ts";
import { encodeJcs } from "./jcs.ts";
import { MAX_CODE_TEXTS, queryNameSchema, repeatedName } from "./job.ts";
import { wrappedLocalKeySchema } from "./kek.ts";
import { merkleRoot } from "./merkle.ts";
import { datasetIdSchema, nameSchema, sha256HexSchema, timestampSchema } from "./schema.ts";

/** Names in a dataset's folder that are not data. */
export const MANIFEST_NAME = "manifest.json";
export const RECEIPT_NAME = "receipt.json";

const PENDING_MANIFEST = /^manifest\.v([1-9]\d{0,14})\.[0-9a-f]{64}\.json$/;
const VERSION_FOLDER = /^v([1-9]\d{0,14})\//;

/** The version in whose folder (`vN/`) a stored file lies; null for one that is in none. */
export function versionOfName(name: string): number | null {
  const digits = VERSION_FOLDER.exec(name)?.[1];
  return digits === undefined ? null : Number(digits);
}

/**
 * Where a signed manifest waits while the broker accepts it, and until the publication is finished.
 * @param waiting.digest SHA-256 of its payload, 64 hex digits
 */
export function pendingManifestName(waiting: {
  readonly version: number;
  readonly digest: string;
}): string {
  return `manifest.v${waiting.version}.${waiting.digest}.json`;
}

/** How many results of jobs without a broker may wait above the version in force. */
export const MAX_WAITING = 1000;

/**
 * Where the receipt of a result waits that its owner has not accepted: put only where nothing is, so
 * that of two runs at once one has the version.
 */
export function waitingReceiptName(version: number): string {
  return `v${version}/receipt.json`;
}

/** The version of a manifest that waits under that name; null for a name of another form. */
export function pendingVersionOf(name: string): number | null {
  const digits = PENDING_MANIFEST.exec(name)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** A file's name in its dataset: relative, '/'-separated. The store checks its parts again. */
export const fileNameSchema = z
  .string()
  .min(1)
  .max(1024)
  .refine(
    (name) =>
      !name.includes("\\") &&
      !name.includes("\0") &&
      name.split("/").every((part) => part !== "" && part !== "." && part !== ".."),
    "expected a relative name without empty, '.' or '..' parts",
  );

const manifestFileSchema = z.strictObject({
  name: fileNameSchema,
  kind: z.enum(["table", "file"]),
  /** Sealed file: its file id, 32 hex digits. Table: the AAD file unique, 16 to 32 hex digits. */
  fileId: z.string().regex(/^(?:[0-9a-f]{2}){8,16}$/),
  /** Stored bytes. */
  length: z.int().min(0),
  /** Plaintext bytes of a file, rows of a table. */
  size: z.int().min(0),
  /** SHA-256 of what a reader uses first: the fixed part of a file, the footer of a table. */
  digest: sha256HexSchema,
});
export type ManifestFile = z.infer<typeof manifestFileSchema>;

/** The columns under one KEK: all those that no other group names where `columns` is null. */
const groupSchema = z.strictObject({
  name: nameSchema,
  kekId: wrappedLocalKeySchema.shape.kekId,
  columns: z.array(z.string().min(1).max(500)).min(1).max(10_000).nullable(),
});
export type ColumnGroup = z.infer<typeof groupSchema>;

/** Columns of a table with their types. */
const columnListSchema = z
  .array(z.strictObject({ name: z.string().min(1).max(500), type: z.string().max(500) }))
  .max(10_000);

/** One of several tables of a dataset: the result of one query of a job. */
const resultTableSchema = z.strictObject({
  name: queryNameSchema,
  /** Its file's name. */
  file: fileNameSchema,
  schema: columnListSchema,
});
export type ResultTable = z.infer<typeof resultTableSchema>;

/** The list of what belongs to a dataset. @see docs/format.md section "Manifest" */
export const manifestSchema = z.strictObject({
  v: z.literal(1),
  datasetId: datasetIdSchema,
  name: nameSchema,
  /** Counts up by one with every signing. */
  version: z.int().min(1),
  createdAt: timestampSchema,
  files: z.array(manifestFileSchema).max(1_000_000),
  /** Each distinct wrapped local key, with the column group that it opens. */
  localKeys: z.array(wrappedLocalKeySchema.extend({ group: nameSchema })).max(10_000),
  groups: z.array(groupSchema).min(1).max(1000),
  /** Columns of the one table that all tables among `files` make together; otherwise null. */
  schema: columnListSchema.nullable(),
  /** Only where each file is a table of its own: the results of a job of several queries. */
  tables: z.array(resultTableSchema).min(2).max(MAX_CODE_TEXTS).optional(),
  /** RFC 6962 root over the JCS form of each entry of `files`, in order. */
  merkleRoot: sha256HexSchema,
});
export type Manifest = z.infer<typeof manifestSchema>;

/** RFC 6962 root, hex, over the files' JCS forms. */
export function manifestRoot(files: readonly ManifestFile[]): string {
  return toHex(merkleRoot(files.map((file) => encodeJcs(file))));
}

/**
 * Checks what a schema cannot say: names and ids once each, the Merkle root, each local key in a
 * group of its KEK, at most one group for the columns that are not named, and of several tables that
 * each is one of the files.
 * @throws format.invalid
 */
export function checkManifest(manifest: Manifest): void {
  const { files, groups, localKeys } = manifest;
  requireUnique(
    files.map((file) => file.name),
    "file name",
  );
  requireUnique(
    files.map((file) => file.fileId),
    "file id",
  );
  requireUnique(
    groups.map((group) => group.name),
    "group name",
  );
  requireUnique(
    localKeys.map((key) => key.id),
    "local key id",
  );
  requireUnique(
    groups.flatMap((group) => group.columns ?? []),
    "grouped column",
  );
  if (groups.filter((group) => group.columns === null).length > 1)
    throw new PpmlError("format.invalid", "manifest has two groups for the columns not named");
  for (const key of localKeys) {
    const group = groups.find((candidate) => candidate.name === key.group);
    if (group?.kekId !== key.kekId)
      throw new PpmlError(
        "format.invalid",
        `manifest lists local key ${key.id} under KEK ${key.kekId}, which is not that of its group ${key.group}`,
      );
  }
  if (manifestRoot(files) !== manifest.merkleRoot)
    throw new PpmlError("format.invalid", "manifest's Merkle root is not that of its files");
  if (manifest.tables !== undefined) checkTables(manifest, manifest.tables);
}

function checkTables({ files, schema }: Manifest, tables: readonly ResultTable[]): void {
  const repeated = repeatedName(tables.map(({ name }) => name));
  if (repeated !== undefined)
    throw new PpmlError("format.invalid", `manifest lists table ${repeated} twice`);
  if (schema !== null)
    throw new PpmlError("format.invalid", "manifest has a schema for all and several tables");
  const listed = tables.map(({ file }) => file);
  requireUnique(listed, "table's file");
  const stored = new Set(files.filter(({ kind }) => kind === "table").map(({ name }) => name));
  const missing = listed.find((name) => !stored.has(name));
  if (missing !== undefined || files.length !== tables.length)
    throw new PpmlError(
      "format.invalid",
      `manifest lists ${tables.length} tables and ${files.length} files${missing === undefined ? "" : `, and ${missing} is no table of them`}`,
    );
}

function requireUnique(values: readonly string[], what: string): void {
  const seen = new Set<string>();
  for (const value of values) {
    if (seen.has(value))
      throw new PpmlError("format.invalid", `manifest lists ${what} ${value} twice`);
    seen.add(value);
  }
}
