import { z } from "zod";
import { manifestFloorSchema } from "./grant.ts";
import { kekIdSchema } from "./kek.ts";
import {
  datasetIdSchema,
  nameSchema,
  sha256HexSchema,
  thumbprintSchema,
  timestampSchema,
} from "./schema.ts";

/** Purpose of a release, matched letter by letter against the policy. */
export const purposeSchema = z
  .string()
  .regex(/^[\x20-\x7e]{1,200}$/, "expected 1 to 200 characters");

const columnSchema = z.string().min(1).max(500);

/** Most texts of code that a job has. */
export const MAX_CODE_TEXTS = 1000;

/** Name of a query and of its result, whose stored file is named by it. */
export const queryNameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/,
    "expected 1 to 63 letters, digits, '_' or '-', beginning with a letter or digit",
  );

/** The name that stands twice, letter case aside; undefined where each stands once. */
export function repeatedName(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => {
    const folded = name.toLowerCase();
    if (seen.has(folded)) return true;
    seen.add(folded);
    return false;
  });
}

/** Limits of the embedded SQL engine. */
export const sqlSettingsSchema = z.strictObject({
  memoryMiB: z.int().min(64).max(1_048_576),
  timeoutSeconds: z.int().min(1).max(86_400),
  threads: z.int().min(1).max(256),
});
export type SqlSettings = z.infer<typeof sqlSettingsSchema>;

/** A job as its owner signs it. @see docs/format.md section "Job" */
export const jobSchema = z.strictObject({
  v: z.literal(1),
  name: nameSchema,
  /** The policy that has to approve the job. */
  policy: nameSchema,
  purpose: purposeSchema,
  engine: z.strictObject({ name: z.literal("sql"), settings: sqlSettingsSchema }),
  /** Everything that runs: for SQL one SELECT a text, in their order; no name twice. */
  code: z
    .array(
      z.strictObject({ kind: z.enum(["sql"]), name: queryNameSchema, sha256: sha256HexSchema }),
    )
    .min(1)
    .max(MAX_CODE_TEXTS)
    .refine(
      (code) => repeatedName(code.map(({ name }) => name)) === undefined,
      "expected each name of code once, letter case aside",
    ),
  arguments: z.array(z.string().max(10_000)).max(1000),
  /** Names of environment variables that the engine may see; all others are cleared. */
  environment: z.array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/)).max(100),
  inputs: z
    .array(
      z.strictObject({
        /** The table's name in the query. */
        name: nameSchema,
        datasetId: datasetIdSchema,
        /** Top-level columns that the job may read; null for files without columns of their own. */
        columns: z.array(columnSchema).min(1).max(10_000).nullable(),
      }),
    )
    .min(1)
    .max(100),
  output: z.strictObject({
    name: nameSchema,
    datasetId: datasetIdSchema,
    kekId: kekIdSchema,
    /** RFC 7638 thumbprint of the KEK version's public key that the result is sealed for. */
    kekThumbprint: thumbprintSchema,
  }),
  /** Of a job that runs without a broker, which would know them: one for each input. */
  floors: z.array(manifestFloorSchema).min(1).max(200).optional(),
  issuedAt: timestampSchema,
  expiresAt: timestampSchema,
});
export type Job = z.infer<typeof jobSchema>;
