import { z } from "zod";
import {
  attestationNameSchema,
  existingSchema,
  filesystemSchema,
  guidSchema,
  kubernetesNameSchema,
  registryNameSchema,
  storageAccountSchema,
  vaultNameSchema,
  workspaceNameSchema,
} from "./patterns.ts";

/** How many identities the ACL of one directory can name: 32 entries less those that are always there. */
export const MAX_ACL_IDENTITIES = 25;

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const kekName = z
  .string()
  .regex(NAME, "expected a KEK's name: lower-case letters, digits or '-', a letter first");

const identityNames = z
  .array(z.string().regex(NAME, "expected the name of one of azure.identities"))
  .max(MAX_ACL_IDENTITIES)
  .default([]);

const directorySchema = z.strictObject({
  readers: identityNames.describe("Names of azure.identities that may read it, and all in it."),
  writers: identityNames.describe("Names of azure.identities that may read and write."),
});
export type DirectoryConfig = z.infer<typeof directorySchema>;

/** The section `azure.storage`. */
export const storageSchema = z.strictObject({
  existing: existingSchema(["Microsoft.Storage/storageAccounts"], storageAccountSchema),
  account: storageAccountSchema.optional().describe("Name of the account, unique in Azure."),
  filesystem: filesystemSchema.default("ppml").describe("Name of the filesystem in it."),
  sharedKey: z
    .boolean()
    .default(false)
    .describe("Allow the account's keys. Whoever has one reads and writes everything in it."),
  redundancy: z
    .enum(["LRS", "ZRS", "GRS", "GZRS"])
    .default("ZRS")
    .describe("How many copies, and how far apart."),
  softDeleteDays: z
    .int()
    .min(1)
    .max(365)
    .default(7)
    .describe("How long deleted objects and filesystems can be put back."),
  directories: z
    .record(
      z
        .string()
        .max(400)
        .regex(
          /^(?!.*\.(?:\/|$))[A-Za-z0-9._=-]+(?:\/[A-Za-z0-9._=-]+)*$/,
          "expected a directory's path in the filesystem, such as in/flights: letters, digits, '.', '_', '=', '-', no part that ends with a dot",
        ),
      directorySchema,
    )
    .default({})
    .describe("Directories that ppml up makes, by their path, and who may what in them (POSIX)."),
});
export type StorageConfig = z.infer<typeof storageSchema>;

const kekSchema = z.strictObject({
  use: z
    .enum(["unwrap-only", "exportable"])
    .describe(
      "unwrap-only: the key stays in the vault and the broker has it unwrap. exportable: Azure releases it into a TEE that its policy names.",
    ),
  bits: z
    .union([z.literal(3072), z.literal(4096)])
    .default(3072)
    .describe("Bits of the RSA key."),
  policy: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,62}$/, "expected the name of a policy")
    .optional()
    .describe("For exportable: the policy of this file whose release member the key gets."),
});
export type AzureKekConfig = z.infer<typeof kekSchema>;

/** The section `azure.keyVault`. */
export const keyVaultSchema = z.strictObject({
  existing: existingSchema(
    ["Microsoft.KeyVault/vaults", "Microsoft.KeyVault/managedHSMs"],
    vaultNameSchema,
  ),
  name: vaultNameSchema.optional().describe("Name of the vault, unique in Azure."),
  sku: z
    .enum(["premium", "managedHsm"])
    .default("premium")
    .describe("premium: a Key Vault with HSM keys. managedHsm: a pool of its own, billed by hour."),
  activated: z
    .boolean()
    .optional()
    .describe(
      "Of a Managed HSM: whether its security domain was downloaded, so that it takes keys. Where it is not said, an existing one is, and one that is made here is not.",
    ),
  softDeleteDays: z
    .int()
    .min(7)
    .max(90)
    .default(90)
    .describe("How long a deleted vault or key can be recovered; fixed once it is made."),
  recover: z
    .boolean()
    .default(false)
    .describe("Bring back the deleted vault of this name, with its keys."),
  keks: z.record(kekName, kekSchema).default({}).describe("The KEKs of this vault, by name."),
});
export type KeyVaultConfig = z.infer<typeof keyVaultSchema>;

/** The section `azure.attestation`. */
export const attestationSchema = z.strictObject({
  existing: existingSchema(["Microsoft.Attestation/attestationProviders"], attestationNameSchema),
  name: attestationNameSchema.optional().describe("Name of the provider in this region."),
});
export type AttestationConfig = z.infer<typeof attestationSchema>;

/** The section `azure.registry`. */
export const registrySchema = z.strictObject({
  existing: existingSchema(["Microsoft.ContainerRegistry/registries"], registryNameSchema),
  name: registryNameSchema.optional().describe("Name of the registry, unique in Azure."),
});
export type RegistryConfig = z.infer<typeof registrySchema>;

/** The section `azure.logAnalytics`. */
export const logAnalyticsSchema = z.strictObject({
  existing: existingSchema(["Microsoft.OperationalInsights/workspaces"], workspaceNameSchema),
  retentionDays: z.int().min(30).max(730).default(90).describe("How long logs are kept."),
});
export type LogAnalyticsConfig = z.infer<typeof logAnalyticsSchema>;

/** One of `azure.identities`. */
export const identitySchema = z.strictObject({
  existing: existingSchema(
    ["Microsoft.ManagedIdentity/userAssignedIdentities"],
    z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$/, "expected an identity's name"),
  ),
  role: z
    .enum(["workload", "broker"])
    .default("workload")
    .describe("broker: may have unwrap-only KEKs unwrap. workload: never."),
  namespace: kubernetesNameSchema.describe("Kubernetes namespace of its service account."),
  serviceAccount: kubernetesNameSchema.describe("Service account that may use the identity."),
  data: z
    .enum(["none", "read", "write"])
    .default("none")
    .describe("What it may do with the filesystem's (sealed) objects."),
  keks: z
    .array(kekName)
    .max(100)
    .default([])
    .describe("KEKs that it may ask for: a workload for exportable, a broker for unwrap-only."),
  secrets: z
    .array(z.string().regex(/^[A-Za-z0-9-]{1,127}$/, "expected a secret's name"))
    .max(100)
    .default([])
    .describe("Secrets of the vault that it may read, such as key-pass."),
});
export type IdentityConfig = z.infer<typeof identitySchema>;

/** One of `azure.operators`. */
export const operatorSchema = z.strictObject({
  objectId: guidSchema.describe("Object id in Entra ID."),
  kind: z.enum(["user", "group", "servicePrincipal"]).default("user").describe("What it is."),
});
export type OperatorConfig = z.infer<typeof operatorSchema>;
