import { z } from "zod";
import { MAX_CODE_TEXTS, queryNameSchema, sqlSettingsSchema } from "../../format/job.ts";
import { manifestSchema } from "../../format/manifest.ts";
import { base64UrlSchema, nameSchema } from "../../format/schema.ts";

const fileSchema = manifestSchema.shape.files.element;

/**
 * What the launcher asks of its worker. Keys are asked for one by one and never stand in it. The
 * launcher holds it against this before it sends it: the worker, of the same snapshot, takes it as it
 * comes, and starts without the schemas.
 */
export const workerTaskSchema = z.strictObject({
  /** Run in this order, each over the same inputs. */
  queries: z
    .array(z.strictObject({ name: queryNameSchema, sql: z.string().max(1_000_000) }))
    .min(1)
    .max(MAX_CODE_TEXTS),
  settings: sqlSettingsSchema,
  /** The worker's private tmpfs. */
  workDirectory: z.string(),
  inputs: z.array(
    z.strictObject({
      name: nameSchema,
      /** The dataset's id, 32 hex digits: a sealed file binds it. */
      datasetId: z.string(),
      columns: z.array(z.string()).nullable(),
      files: z.array(fileSchema).min(1),
    }),
  ),
  /**
   * By input and file: the descriptor by which the worker inherited the stored file, or null where
   * it has to ask for its bytes.
   */
  descriptors: z.array(z.array(z.int().min(0).nullable())),
  output: z.discriminatedUnion("kind", [
    /** A sealed table a query; `keyMetadata` has the PKMT1 text of each result's footer key. */
    z.strictObject({
      kind: z.literal("table"),
      keyMetadata: z.array(base64UrlSchema).min(1).max(MAX_CODE_TEXTS),
    }),
    /** Rows for the owner's own eyes: never used inside a TEE. */
    z.strictObject({ kind: z.literal("rows"), limit: z.int().min(1).max(100_000) }),
  ]),
});
export type WorkerTask = z.infer<typeof workerTaskSchema>;
/** A task as its caller gives it: which files the worker inherits is settled when it starts. */
export type WorkerOrder = Omit<WorkerTask, "descriptors">;
export type WorkerInput = WorkerTask["inputs"][number];

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
