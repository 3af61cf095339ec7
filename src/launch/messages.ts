import { z } from "zod";
import { MAX_CODE_TEXTS, queryNameSchema } from "../format/job.ts";
import { kekPublicKeySchema, kekVersionSchema, modeSchema } from "../format/kek.ts";
import {
  base64UrlSchema,
  ecPublicJwkSchema,
  nameSchema,
  sha256HexSchema,
} from "../format/schema.ts";
import { envelopeSchema } from "../format/signed-object.ts";
import { teeProfileSchema } from "../format/attestation-result.ts";
import { receiptFileSchema } from "../format/receipt.ts";

const launcherBase = { v: z.literal(1), mode: modeSchema, profile: teeProfileSchema };

/** What a launcher without a broker has to know by itself. */
const directConfigSchema = z.strictObject({
  /** Who signs the jobs that it takes. */
  signers: z.array(ecPublicJwkSchema).min(1).max(20),
  /** `https://NAME.REGION.attest.azure.net`: the provider that the KEKs' release policies name. */
  attestation: z.string().regex(/^https:\/\/[a-z0-9.-]{1,200}$/),
  /** The one vault whose KEKs it asks for: NAME.vault.azure.net or NAME.managedhsm.azure.net. */
  vault: z
    .string()
    .regex(
      /^[a-z][a-z0-9-]{1,22}[a-z0-9]\.(?:vault|managedhsm)\.(?:azure\.net|azure\.cn|usgovcloudapi\.net)$/,
    ),
  /** DER of the roots of the vault's certificate, base64url. */
  vaultRoots: z.array(base64UrlSchema.max(20_000)).min(1).max(20),
});
export type DirectConfig = z.infer<typeof directConfigSchema>;

/** The launcher's configuration: a file of the measured image, so changing it changes the measurement. */
export const launcherConfigSchema = z.union([
  /** Only grants by keys that this root certifies are taken. */
  z.strictObject({ ...launcherBase, releaseRoot: ecPublicJwkSchema }),
  /** Only KEKs that Key Vault releases are used. */
  z.strictObject({ ...launcherBase, direct: directConfigSchema }),
]);
export type LauncherConfig = z.infer<typeof launcherConfigSchema>;

const networkSchema = z
  .strictObject({
    proxy: z.strictObject({ host: z.string().max(300), port: z.int() }).nullable(),
    certificates: z.array(z.string().max(1_000_000)).max(100),
  })
  .nullable();
/** The way out that the host names; null for the platform's own roots and no proxy. */
export type HandedNetwork = z.infer<typeof networkSchema>;

/** What the untrusted host asks the launcher to run. */
export const launchRequestSchema = z.strictObject({
  v: z.literal(1),
  /**
   * On a Unix socket, or on TCP with a pinned key: the host's choice, for the grant is checked. Or who
   * asks Key Vault for a job without a broker: a token that gives the right to ask, and opens nothing.
   */
  authority: z.union([
    z.strictObject({ socketPath: z.string().min(1).max(200) }),
    z.strictObject({ url: z.string().min(1).max(500), spkiSha256: sha256HexSchema }),
    z.strictObject({
      vaultToken: z.string().min(1).max(16_384),
      network: networkSchema,
      /** Key Vault's own id of each version of a KEK that it has, by its version here. */
      keyVersions: z.record(kekVersionSchema, z.string().max(40)),
    }),
  ]),
  job: envelopeSchema,
  jobSigner: ecPublicJwkSchema,
  /** Texts of the job's code, in its order. */
  code: z.array(z.string().max(1_000_000)).min(1).max(MAX_CODE_TEXTS),
  /** Where each input of the job is stored, by its name in the query. */
  inputs: z.record(nameSchema, z.string().max(4096)),
  output: z.strictObject({ store: z.string().max(4096), kek: kekPublicKeySchema }),
  /** Who asks data lakes among the stores: a token for storage alone, and the way there. */
  dataLake: z
    .strictObject({
      token: z.string().min(1).max(16_384),
      expiresMs: z.number(),
      network: networkSchema,
    })
    .optional(),
});
export type LaunchRequest = z.infer<typeof launchRequestSchema>;

/** Names of the steps that the launcher reports. */
const stepSchema = z.enum(["job", "evidence", "release", "open", "compute", "seal", "receipt"]);
export type LaunchStep = z.infer<typeof stepSchema>;

const resultSchema = z.strictObject({
  datasetId: z.string(),
  name: nameSchema,
  version: z.int(),
  /** Of all results together. */
  rows: z.int(),
  bytes: z.int(),
  /** One a query, in their order. */
  results: z.array(z.strictObject({ name: queryNameSchema, rows: z.int(), bytes: z.int() })),
  file: receiptFileSchema,
});

/** Longest text of an event. */
export const MAX_EVENT_TEXT = 2000;

/** What the launcher tells its host, one JSON line each. Nothing in it quotes data. */
export const launchEventSchema = z.discriminatedUnion("event", [
  z.strictObject({
    event: z.literal("step"),
    step: stepSchema,
    text: z.string().max(MAX_EVENT_TEXT),
  }),
  z.strictObject({
    event: z.literal("progress"),
    step: stepSchema,
    done: z.number(),
    total: z.number(),
  }),
  z.strictObject({ event: z.literal("notice"), text: z.string().max(MAX_EVENT_TEXT) }),
  z.strictObject({ event: z.literal("done"), result: resultSchema }),
  z.strictObject({
    event: z.literal("failed"),
    code: z.string(),
    message: z.string(),
    detail: z.record(z.string(), z.unknown()),
  }),
]);
export type LaunchEvent = z.infer<typeof launchEventSchema>;
export type LaunchResult = z.infer<typeof resultSchema>;
