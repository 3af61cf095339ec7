import { z } from "zod";
import { attestationResultSchema, teeProfileSchema } from "./attestation-result.ts";
import { encodeJcs } from "./jcs.ts";
import { kekIdSchema, modeSchema } from "./kek.ts";
import { fileNameSchema } from "./manifest.ts";
import { inclusionSchema, wireEvidenceSchema } from "./protocol.ts";
import { resourcePathSchema } from "./resource.ts";
import { runtimeDataSchema } from "./runtime-data.ts";
import {
  datasetIdSchema,
  nameSchema,
  sha256HexSchema,
  thumbprintSchema,
  timestampSchema,
} from "./schema.ts";
import { envelopeSchema } from "./signed-object.ts";
import type { Envelope } from "./signed-object.ts";
import { kekRuntimeDataSchema } from "./skr/release-key.ts";

/** in-toto predicate types. @see in-toto Attestation Framework v1, "Predicate" */
export const RELEASE_PREDICATE = "tag:ppml,2026:receipt/release/v1";
export const RESULT_PREDICATE = "tag:ppml,2026:receipt/result/v1";
export const EVENT_PREDICATE = "tag:ppml,2026:receipt/event/v1";

const subjectSchema = z.strictObject({
  name: z.union([fileNameSchema, nameSchema]),
  digest: z.strictObject({ sha256: sha256HexSchema }),
});

const datasetRefSchema = z.strictObject({
  name: nameSchema,
  datasetId: datasetIdSchema,
  version: z.int().min(1),
  manifestDigest: sha256HexSchema,
});

/** What a broker says of one decision, granted or denied. Its signature proves releases only. */
export const releasePredicateSchema = z.strictObject({
  v: z.literal(1),
  mode: modeSchema,
  decision: z.enum(["granted", "denied"]),
  /** `attestation`: a guest's, by which it may ask for resources. */
  request: z.strictObject({
    kind: z.enum(["job", "owner", "attestation", "resource"]),
    digest: sha256HexSchema,
  }),
  /** Of the job, the owner's policy, the guest's TEE; a resource's path. */
  name: z.union([nameSchema, resourcePathSchema]),
  purpose: z.string().max(200),
  policy: z.strictObject({ name: nameSchema, digest: sha256HexSchema }).nullable(),
  /** Null for an owner's request. */
  attestation: attestationResultSchema.nullable(),
  evidenceDigest: sha256HexSchema.nullable(),
  /** Thumbprints of the keys that the TEE (or the owner) made for this release. */
  encryptionKey: thumbprintSchema,
  signingKey: thumbprintSchema.nullable(),
  keks: z.array(kekIdSchema).max(1000),
  keyCount: z.int().min(0),
  datasets: z.array(z.strictObject({ datasetId: datasetIdSchema, minVersion: z.int().min(0) })),
  /** Why it was denied: the error's code and message. */
  refusal: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
  time: timestampSchema,
});
export type ReleasePredicate = z.infer<typeof releasePredicateSchema>;

/**
 * What the attested launcher says of one result. Signed by the TEE's signing key. Policy, log index and
 * runtime data with a P-256 key are those of a job that a broker released; a job without a broker has
 * neither policy nor log index, and runtime data with an RSA key.
 */
export const resultPredicateSchema = z
  .strictObject({
    v: z.literal(1),
    mode: modeSchema,
    profile: teeProfileSchema,
    simulated: z.boolean(),
    job: z.strictObject({
      name: nameSchema,
      digest: sha256HexSchema,
      purpose: z.string().max(200),
      code: z.array(sha256HexSchema),
    }),
    /** Null where no job policy applied. */
    policy: z.strictObject({ name: nameSchema, digest: sha256HexSchema }).nullable(),
    engine: z.strictObject({ name: z.string().max(40), version: z.string().max(100) }),
    inputs: z.array(datasetRefSchema).max(100),
    output: datasetRefSchema.extend({
      merkleRoot: sha256HexSchema,
      kekThumbprint: thumbprintSchema,
      rows: z.int().min(0),
    }),
    runtimeData: z.union([runtimeDataSchema, kekRuntimeDataSchema]),
    evidence: wireEvidenceSchema,
    releaseLogIndex: z.int().min(0).nullable(),
    startedAt: timestampSchema,
    finishedAt: timestampSchema,
  })
  .refine(
    ({ policy, releaseLogIndex, runtimeData }) =>
      (policy === null) === (releaseLogIndex === null) &&
      (policy === null) === (runtimeData["tee-pubkey"].kty === "RSA"),
    "expected policy, releaseLogIndex and an elliptic key together, or none of them",
  );
export type ResultPredicate = z.infer<typeof resultPredicateSchema>;

/** What a broker says of a change of its state: a policy put in force, a manifest floor raised. */
export const eventPredicateSchema = z.strictObject({
  v: z.literal(1),
  mode: modeSchema,
  event: z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("policy-applied"),
      name: nameSchema,
      version: z.int().min(1),
      digest: sha256HexSchema,
      signer: thumbprintSchema,
    }),
    z.strictObject({
      kind: z.literal("floor-raised"),
      name: nameSchema,
      datasetId: datasetIdSchema,
      version: z.int().min(1),
      manifestDigest: sha256HexSchema,
      signer: thumbprintSchema,
      /** `job`: by an attested job under the owner's delegation. */
      by: z.enum(["owner", "job"]),
    }),
    z.strictObject({
      kind: z.literal("resource-changed"),
      /** The resource's path. */
      name: resourcePathSchema,
      version: z.int().min(1),
      digest: sha256HexSchema,
      signer: thumbprintSchema,
      removed: z.boolean(),
    }),
  ]),
  time: timestampSchema,
});
export type EventPredicate = z.infer<typeof eventPredicateSchema>;

const statementBase = {
  _type: z.literal("https://in-toto.io/Statement/v1"),
  subject: z.array(subjectSchema).min(1).max(1000),
};

/** A receipt: an in-toto Statement of one of the three predicates. */
export const receiptSchema = z.discriminatedUnion("predicateType", [
  z.strictObject({
    ...statementBase,
    predicateType: z.literal(RELEASE_PREDICATE),
    predicate: releasePredicateSchema,
  }),
  z.strictObject({
    ...statementBase,
    predicateType: z.literal(RESULT_PREDICATE),
    predicate: resultPredicateSchema,
  }),
  z.strictObject({
    ...statementBase,
    predicateType: z.literal(EVENT_PREDICATE),
    predicate: eventPredicateSchema,
  }),
]);
export type Receipt = z.infer<typeof receiptSchema>;
export type ResultReceipt = Extract<Receipt, { predicateType: typeof RESULT_PREDICATE }>;
export type ReleaseReceipt = Extract<Receipt, { predicateType: typeof RELEASE_PREDICATE }>;

export type EventReceipt = Extract<Receipt, { predicateType: typeof EVENT_PREDICATE }>;

/** The bytes of a receipt's leaf in the log: its envelope in JCS form. @see docs/protocol.md "Log" */
export function logLeafOf(envelope: Envelope): Uint8Array {
  return encodeJcs(envelope);
}

/** A receipt as a file: with its place in the log, so that it is verified offline. */
export const receiptFileSchema = z.strictObject({
  v: z.literal(1),
  receipt: envelopeSchema,
  inclusion: inclusionSchema.nullable(),
});
export type ReceiptFile = z.infer<typeof receiptFileSchema>;
