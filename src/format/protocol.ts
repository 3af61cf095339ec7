import { z } from "zod";
import { modeSchema, wrappedLocalKeySchema } from "./kek.ts";
import { resourceEntrySchema } from "./resource.ts";
import { runtimeDataSchema } from "./runtime-data.ts";
import {
  base64UrlSchema,
  datasetIdSchema,
  ecPublicJwkSchema,
  nameSchema,
  sha256HexSchema,
  timestampSchema,
} from "./schema.ts";
import { envelopeSchema } from "./signed-object.ts";
import { purposeSchema } from "./job.ts";

const nonceSchema = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "expected 32 bytes in base64url");
const wrappedKeysSchema = z.array(wrappedLocalKeySchema).max(10_000);

/** Evidence on the wire: bytes of a type, and named collateral. @see docs/protocol.md "Evidence" */
export const wireEvidenceSchema = z.strictObject({
  type: z.string().regex(/^[a-z0-9-]{1,40}$/),
  evidence: base64UrlSchema.max(1_000_000),
  collateral: z.record(z.string().max(100), base64UrlSchema.max(1_000_000)),
});
export type WireEvidence = z.infer<typeof wireEvidenceSchema>;

/** POST /v1/challenge. */
export const challengeRequestSchema = z.strictObject({ v: z.literal(1) });

/** POST /v1/challenge, answer. */
export const challengeResponseSchema = z.strictObject({
  v: z.literal(1),
  mode: modeSchema,
  /** 32 bytes, base64url; single use. */
  nonce: nonceSchema,
  expiresAt: timestampSchema,
});
export type ChallengeResponse = z.infer<typeof challengeResponseSchema>;

/** POST /v1/release: an attested job asks for all its keys at once. */
export const releaseRequestSchema = z.strictObject({
  v: z.literal(1),
  job: envelopeSchema,
  runtimeData: runtimeDataSchema,
  evidence: wireEvidenceSchema,
  keys: wrappedKeysSchema,
  /** Datasets whose manifest floors are asked for: the job's inputs and its output. */
  datasets: z.array(datasetIdSchema).max(200),
});
export type ReleaseRequest = z.infer<typeof releaseRequestSchema>;

/** The signed payload of POST /v1/owner-release. */
export const ownerRequestSchema = z.strictObject({
  v: z.literal(1),
  nonce: nonceSchema,
  policy: nameSchema,
  purpose: purposeSchema,
  /** The owner's ephemeral encryption key. */
  recipient: ecPublicJwkSchema,
  keys: wrappedKeysSchema,
  datasets: z.array(datasetIdSchema).max(200),
  issuedAt: timestampSchema,
});
export type OwnerRequest = z.infer<typeof ownerRequestSchema>;

/** POST /v1/owner-release. */
export const ownerReleaseRequestSchema = z.strictObject({
  v: z.literal(1),
  request: envelopeSchema,
});

/** Answer of both releases: a JWE in compact form. @see docs/protocol.md "Grant" */
export const releaseResponseSchema = z.strictObject({
  v: z.literal(1),
  jwe: z.string().max(16 * 1024 * 1024),
});

/** A leaf's place in the log: its audit path to a signed head. */
export const inclusionSchema = z.strictObject({
  index: z.int().min(0),
  hashes: z.array(sha256HexSchema).max(64),
  head: envelopeSchema,
});
export type Inclusion = z.infer<typeof inclusionSchema>;

/** POST /v1/receipts: a result's receipt with the manifest of what it sealed. */
export const receiptRequestSchema = z.strictObject({
  v: z.literal(1),
  receipt: envelopeSchema,
  manifest: envelopeSchema,
});

/** Answer of POST /v1/receipts. */
export const receiptResponseSchema = z.strictObject({
  v: z.literal(1),
  inclusion: inclusionSchema,
});

/** POST /v1/policies and POST /v1/manifests: an object signed by the owner. */
export const signedObjectRequestSchema = z.strictObject({
  v: z.literal(1),
  object: envelopeSchema,
});

/** Answer of POST /v1/policies and of GET /v1/policies/NAME: the policy in force, as it was signed. */
export const policyResponseSchema = z.strictObject({ v: z.literal(1), object: envelopeSchema });

/** Answer of POST /v1/manifests and GET /v1/manifests/ID: the floor, and whether this call raised it. */
export const manifestResponseSchema = z.strictObject({
  v: z.literal(1),
  datasetId: datasetIdSchema,
  /** 0 where no manifest was ever accepted. */
  version: z.int().min(0),
  /** Digest of the accepted manifest of that version. */
  digest: sha256HexSchema.nullable(),
  /** Who may have signed it: the owner, and the TEE's key of a job that did. */
  signers: z.array(ecPublicJwkSchema).max(20),
  raised: z.boolean(),
});
export type ManifestResponse = z.infer<typeof manifestResponseSchema>;

/** GET /v1/log/head, and GET /v1/log/proof?index=N. */
export const logHeadResponseSchema = z.strictObject({ v: z.literal(1), head: envelopeSchema });
export const logProofResponseSchema = z.strictObject({
  v: z.literal(1),
  inclusion: inclusionSchema,
});

/** What the log's key signs. @see RFC 9162 section 4.9 */
export const logHeadSchema = z.strictObject({
  v: z.literal(1),
  mode: modeSchema,
  size: z.int().min(0),
  root: sha256HexSchema,
  time: timestampSchema,
});
export type LogHead = z.infer<typeof logHeadSchema>;

/** GET /v1/log?from=N: envelopes of the leaves from N on, at most 1,000. */
export const logEntriesResponseSchema = z.strictObject({
  v: z.literal(1),
  from: z.int().min(0),
  entries: z.array(envelopeSchema).max(1000),
  head: envelopeSchema,
});

/** GET /v1/info: who this broker is. */
export const infoResponseSchema = z.strictObject({
  v: z.literal(1),
  mode: modeSchema,
  issuer: z.string().max(200),
  releaseRoot: ecPublicJwkSchema,
  logKey: ecPublicJwkSchema,
  earKey: ecPublicJwkSchema,
  owner: ecPublicJwkSchema,
});
export type BrokerInfo = z.infer<typeof infoResponseSchema>;

/** Answer of GET /v1/resources and of POST /v1/resources: resources by path, without their content. */
export const resourcesResponseSchema = z.strictObject({
  v: z.literal(1),
  resources: z.array(resourceEntrySchema).max(1000),
});

/** Every refusal: `code` is one of docs/errors.md. */
export const errorResponseSchema = z.strictObject({
  error: z.strictObject({
    code: z.string().max(100),
    message: z.string().max(100_000),
    detail: z.record(z.string(), z.unknown()),
  }),
});
