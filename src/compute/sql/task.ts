import { z } from "zod";
import { MAX_CODE_TEXTS, queryNameSchema } from "../../format/job.ts";
import type { SqlSettings } from "../../format/job.ts";
import type { ManifestFile } from "../../format/manifest.ts";
import { nameSchema } from "../../format/schema.ts";

/**
 * What the launcher asks of its worker. Keys are asked for one by one and never stand in it. The
 * worker takes it as it comes: it is made by the launcher of the same snapshot, which checked all of it.
 */
export type WorkerTask = {
  /** Run in this order, each over the same inputs; one at least. */
  readonly queries: readonly { readonly name: string; readonly sql: string }[];
  readonly settings: SqlSettings;
  /** The worker's private tmpfs. */
  readonly workDirectory: string;
  readonly inputs: readonly WorkerInput[];
  /**
   * By input and file: the descriptor by which the worker inherited the stored file, or null where
   * it has to ask for its bytes.
   */
  readonly descriptors: readonly (readonly (number | null)[])[];
  readonly output:
    | {
        /** A sealed table a query; `keyMetadata` has the PKMT1 text of each result's footer key. */
        readonly kind: "table";
        readonly keyMetadata: readonly string[];
      }
    | {
        /** Rows for the owner's own eyes: never used inside a TEE. */
        readonly kind: "rows";
        readonly limit: number;
      };
};

/** A dataset of a task. */
export type WorkerInput = {
  readonly name: string;
  /** The dataset's id, 32 hex digits: a sealed file binds it. */
  readonly datasetId: string;
  /** The top-level columns that the job may read; null for all. */
  readonly columns: readonly string[] | null;
  /** One at least. */
  readonly files: readonly ManifestFile[];
};

/** A task as its caller gives it: which files the worker inherits is settled when it starts. */
export type WorkerOrder = Omit<WorkerTask, "descriptors">;

/** What was opened of one input, for the person who asks what was decrypted. */
const openedSchema = z.strictObject({
  name: nameSchema,
  columns: z.array(z.string()),
  rowGroups: z.int(),
  rowGroupsOpened: z.int(),
  bytesOpened: z.int(),
});
export type OpenedInput = z.infer<typeof openedSchema>;

/** What a query gave; a sealed result itself came in `output` frames. */
const queryResultSchema = z.strictObject({
  name: queryNameSchema,
  schema: z.array(z.strictObject({ name: z.string(), type: z.string() })),
  rows: z.int(),
  sealed: z
    .strictObject({ fileId: z.string(), length: z.int(), footerDigest: z.string() })
    .nullable(),
  /** Rows as text, for `kind: rows`. */
  preview: z.array(z.array(z.string().nullable())).nullable(),
});
export type QueryResult = z.infer<typeof queryResultSchema>;

/** What the worker tells when it is done. */
export const workerResultSchema = z.strictObject({
  engineVersion: z.string(),
  opened: z.array(openedSchema),
  /** One a query, in their order. */
  results: z.array(queryResultSchema).min(1).max(MAX_CODE_TEXTS),
});
export type WorkerResult = z.infer<typeof workerResultSchema>;

/** A `read` frame's payload. */
export const readRequestSchema = z.strictObject({
  input: z.int().min(0),
  file: z.int().min(0),
  offset: z.int().min(0),
  length: z.int().min(1),
});

/** A `progress` frame's payload. */
export const progressSchema = z.strictObject({
  step: z.enum(["open", "compute", "seal"]),
  done: z.number(),
  total: z.number(),
});
export type Progress = z.infer<typeof progressSchema>;
