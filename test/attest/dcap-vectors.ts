import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { sharedPath } from "../shared-data.ts";

const verdictSchema = z.object({
  ok: z.boolean(),
  status: z.string().nullish(),
  advisory_ids: z.array(z.string()).nullish(),
  error: z.string().nullish(),
});
export type Verdict = z.infer<typeof verdictSchema>;

const collateralSchema = z.object({
  file: z.string(),
  verifyAt: z.number(),
  verdicts: z.record(z.string(), verdictSchema),
});

const indexSchema = z.object({
  quotes: z.array(
    z.object({
      id: z.string(),
      kind: z.enum(["sgx-v3", "tdx-v4", "tdx-v5"]),
      file: z.string(),
      parsed: z.record(z.string(), z.unknown()),
      collateral: z.array(collateralSchema),
    }),
  ),
  synthetic: z.array(
    z.object({
      id: z.string(),
      file: z.string(),
      collateral: z.string(),
      root: z.string(),
      verifyAt: z.number(),
      verdict: verdictSchema,
    }),
  ),
  tampered: z.array(
    z.object({
      id: z.string(),
      kind: z.string(),
      file: z.string(),
      collateral: z.string().optional(),
      root: z.string().optional(),
      verifyAt: z.number().optional(),
      verdict: z.record(z.string(), verdictSchema).optional(),
    }),
  ),
});
export type DcapIndex = z.infer<typeof indexSchema>;

/** The index of hardware's quotes and their collateral beside the clone; null where it is missing. */
export const indexPath: string | null = sharedPath("vectors", "attestation", "index.json");

const EMPTY: DcapIndex = { quotes: [], synthetic: [], tampered: [] };

/** Its DCAP part; empty where it is missing. */
export const dcapIndex: DcapIndex =
  indexPath === null ? EMPTY : indexSchema.parse(JSON.parse(readFileSync(indexPath, "utf8")));

const files = new Map<string, Uint8Array>();

/** The bytes of a file of the index. */
export function vectorBytes(file: string): Uint8Array {
  const known = files.get(file);
  if (known !== undefined) return known;
  const bytes = new Uint8Array(readFileSync(join(indexPath ?? "", "..", file)));
  files.set(file, bytes);
  return bytes;
}

/** The JSON of a file of the index. */
export function vectorJson(file: string): unknown {
  return JSON.parse(new TextDecoder().decode(vectorBytes(file)));
}
