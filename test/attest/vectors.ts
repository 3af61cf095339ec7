import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { sharedPath, skipWithout } from "../shared-data.ts";

const root = sharedPath("vectors", "attestation");

/** The `skip` option of tests that run the vectors of others. */
export const skip = skipWithout(root);

/** Bytes of one vector; only inside a test that has `skip`. */
export function vectorBytes(file: string): Uint8Array {
  return new Uint8Array(readFileSync(join(root ?? "", file)));
}

/** Text of one vector. */
export function vectorText(file: string): string {
  return new TextDecoder().decode(vectorBytes(file));
}

const tcbSchema = z.string().regex(/^[0-9a-f]{16}$/);
const snpVectorSchema = z.object({
  id: z.string(),
  kind: z.string(),
  file: z.string(),
  parsed: z.object({
    version: z.number(),
    guestSvn: z.number(),
    policy: z.string(),
    debug: z.boolean(),
    smtAllowed: z.boolean(),
    migrateMA: z.boolean(),
    singleSocket: z.boolean(),
    familyId: z.string(),
    imageId: z.string(),
    vmpl: z.number(),
    sigAlgo: z.number(),
    platformInfo: z.string(),
    reportData: z.string(),
    measurement: z.string(),
    hostData: z.string(),
    idKeyDigest: z.string(),
    authorKeyDigest: z.string(),
    reportId: z.string(),
    reportIdMa: z.string(),
    chipId: z.string(),
    currentTcb: tcbSchema,
    reportedTcb: tcbSchema,
    committedTcb: tcbSchema,
    launchTcb: tcbSchema,
    authorKeyEn: z.boolean(),
    maskChipKey: z.boolean(),
    signingKey: z.enum(["VCEK", "VLEK"]),
    cpuid: z.object({ family: z.number(), model: z.number(), stepping: z.number() }).optional(),
  }),
  endorsement: z
    .object({
      file: z.string(),
      type: z.enum(["VCEK", "VLEK"]),
      issuer: z.array(z.string()),
      ext: z.object({
        product: z.string(),
        hwid: z.string().nullable(),
        blSPL: z.number(),
        teeSPL: z.number(),
        snpSPL: z.number(),
        ucodeSPL: z.number(),
        fmcSPL: z.number().nullable(),
        cspId: z.string().nullable(),
      }),
      verifyAt: z.number(),
    })
    .optional(),
  verdicts: z.record(z.string(), z.object({ ok: z.boolean() })).nullish(),
});
export type SnpVector = z.infer<typeof snpVectorSchema>;

const indexSchema = z.object({
  snp: z.array(snpVectorSchema),
  tampered: z.array(
    z.object({
      id: z.string(),
      kind: z.string(),
      file: z.string(),
      endorsement: z.string().optional(),
      expected: z.string().optional(),
    }),
  ),
  other: z.array(z.object({ id: z.string(), kind: z.string(), file: z.string() })),
});

/** The index of all vectors; empty where they are missing. */
export const vectorIndex: z.infer<typeof indexSchema> =
  root === null
    ? { snp: [], tampered: [], other: [] }
    : indexSchema.parse(JSON.parse(vectorText("index.json")));
