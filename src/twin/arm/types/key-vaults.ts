import { z } from "zod";
import { badRequest } from "../refusal.ts";
import type { Json, ResourceInput, TypeSpec } from "../type-spec.ts";
import { armId, guidSchema } from "./shapes.ts";

const networkAcls = z.strictObject({
  bypass: z.enum(["AzureServices", "None"]).optional(),
  defaultAction: z.enum(["Allow", "Deny"]).optional(),
  ipRules: z.array(z.strictObject({ value: z.string() })).optional(),
  virtualNetworkRules: z
    .array(z.strictObject({ id: armId, ignoreMissingVnetServiceEndpoint: z.boolean().optional() }))
    .optional(),
});

const vaultCommon = {
  tenantId: guidSchema,
  enableSoftDelete: z.boolean().optional(),
  enablePurgeProtection: z.boolean().optional(),
  softDeleteRetentionInDays: z.int().min(7).max(90).optional(),
  publicNetworkAccess: z.enum(["Enabled", "Disabled", "enabled", "disabled"]).optional(),
  networkAcls: networkAcls.optional(),
  createMode: z.enum(["default", "recover"]).optional(),
};

/** What Key Vault never undoes. @see learn.microsoft.com/azure/key-vault/general/soft-delete-overview */
function checkVault({ properties, before }: ResourceInput): void {
  if (properties["enablePurgeProtection"] === false)
    throw badRequest(
      "BadRequest",
      'The property "enablePurgeProtection" cannot be set to false. Enabling the purge protection for a vault is an irreversible action.',
    );
  if (properties["enableSoftDelete"] === false)
    throw badRequest("BadRequest", 'The property "enableSoftDelete" cannot be set to false.');
  const days = before?.properties["softDeleteRetentionInDays"];
  const wanted = properties["softDeleteRetentionInDays"];
  if (days !== undefined && wanted !== undefined && Number(days) !== Number(wanted))
    throw badRequest(
      "BadRequest",
      'The property "softDeleteRetentionInDays" has been set already and it can\'t be modified.',
    );
}

const vaults: TypeSpec = {
  type: "Microsoft.KeyVault/vaults",
  apiVersions: ["2026-02-01", "2024-11-01", "2023-07-01", "2023-02-01", "2022-07-01"],
  name: /^[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]$/,
  isTracked: true,
  worldwide: "vault",
  isSoftDeleted: true,
  properties: z.strictObject({
    ...vaultCommon,
    sku: z.strictObject({ family: z.literal("A"), name: z.enum(["standard", "premium"]) }),
    accessPolicies: z.array(z.unknown()).max(0, "the double knows RBAC only").optional(),
    enableRbacAuthorization: z.boolean().optional(),
    enabledForDeployment: z.boolean().optional(),
    enabledForDiskEncryption: z.boolean().optional(),
    enabledForTemplateDeployment: z.boolean().optional(),
  }),
  writeOnly: ["createMode"],
  check: (input) => checkVault(input),
  complete: ({ id, properties, before }) => ({
    properties: {
      accessPolicies: [],
      enabledForDeployment: false,
      enableSoftDelete: true,
      softDeleteRetentionInDays: before?.properties["softDeleteRetentionInDays"] ?? 90,
      // By default since API version 2026-02-01.
      enableRbacAuthorization: true,
      publicNetworkAccess: "Enabled",
      // Once there, it stays.
      ...(before?.properties["enablePurgeProtection"] === true
        ? { enablePurgeProtection: true }
        : {}),
      ...properties,
      vaultUri: `https://${id.name.toLowerCase()}.vault.azure.net/`,
      provisioningState: "Succeeded",
    },
  }),
};

const managedHsms: TypeSpec = {
  type: "Microsoft.KeyVault/managedHSMs",
  apiVersions: ["2026-02-01", "2024-11-01", "2023-07-01"],
  name: /^[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]$/,
  isTracked: true,
  isSlow: true,
  madeStatus: 202,
  worldwide: "vault",
  isSoftDeleted: true,
  top: {
    sku: z.strictObject({
      family: z.enum(["B", "C"]),
      name: z.enum(["Standard_B1", "Custom_B32", "Custom_B6", "Custom_C42", "Custom_C10"]),
    }),
  },
  properties: z.strictObject({
    ...vaultCommon,
    // As a text too: so `az keyvault create --hsm-name` sends it.
    softDeleteRetentionInDays: z
      .union([
        vaultCommon.softDeleteRetentionInDays,
        z.string().regex(/^(?:[7-9]|[1-8][0-9]|90)$/, "expected 7 to 90"),
      ])
      .optional(),
    initialAdminObjectIds: z.array(guidSchema).min(1),
  }),
  writeOnly: ["createMode"],
  check: (input) => checkVault(input),
  complete: ({ id, properties }) => ({
    properties: {
      enableSoftDelete: true,
      ...properties,
      softDeleteRetentionInDays: Number(properties["softDeleteRetentionInDays"] ?? 90),
      hsmUri: `https://${id.name.toLowerCase()}.managedhsm.azure.net/`,
      statusMessage: "The Managed HSM is provisioned and ready to use.",
      provisioningState: "Succeeded",
    },
  }),
};

/** ARM says "release" where the data plane says "export". */
const KEY_OPS = [
  "encrypt",
  "decrypt",
  "sign",
  "verify",
  "wrapKey",
  "unwrapKey",
  "import",
  "release",
];

const keyShape = {
  isOfDataPlane: true,
  apiVersions: vaults.apiVersions,
  name: /^[A-Za-z0-9-]{1,127}$/,
  isTracked: false,
  top: { tags: z.record(z.string(), z.string()).optional() },
  properties: z.strictObject({
    kty: z.enum(["RSA", "RSA-HSM", "EC", "EC-HSM"]),
    keySize: z.union([z.literal(2048), z.literal(3072), z.literal(4096)]).optional(),
    curveName: z.enum(["P-256", "P-384", "P-521", "P-256K"]).optional(),
    keyOps: z.array(z.enum(KEY_OPS)).optional(),
    attributes: z
      .strictObject({
        enabled: z.boolean().optional(),
        nbf: z.int().optional(),
        exp: z.int().optional(),
        exportable: z.boolean().optional(),
      })
      .optional(),
    release_policy: z
      .strictObject({ contentType: z.string().optional(), data: z.string() })
      .optional(),
    rotationPolicy: z.record(z.string(), z.unknown()).optional(),
  }),
  complete: ({ properties }) => ({ properties: { ...properties } }),
} satisfies Omit<TypeSpec, "type">;

const vaultKeys: TypeSpec = { ...keyShape, type: "Microsoft.KeyVault/vaults/keys" };

/** Whether the HSM takes keys is its data plane's to say. */
const hsmKeys: TypeSpec = {
  ...keyShape,
  type: "Microsoft.KeyVault/managedHSMs/keys",
  apiVersions: managedHsms.apiVersions,
};

const vaultSecrets: TypeSpec = {
  type: "Microsoft.KeyVault/vaults/secrets",
  isOfDataPlane: true,
  apiVersions: vaults.apiVersions,
  name: vaultKeys.name,
  isTracked: false,
  top: { tags: z.record(z.string(), z.string()).optional() },
  properties: z.strictObject({
    value: z.string(),
    contentType: z.string().optional(),
    attributes: z
      .strictObject({
        enabled: z.boolean().optional(),
        nbf: z.int().optional(),
        exp: z.int().optional(),
      })
      .optional(),
  }),
  writeOnly: ["value"],
  complete: ({ properties }) => ({ properties: { ...properties } }),
};

/** Vaults and Managed HSMs, and what ARM makes in them. */
export const KEY_VAULT_TYPES: readonly TypeSpec[] = [
  vaults,
  managedHsms,
  vaultKeys,
  hsmKeys,
  vaultSecrets,
];

/** Whether a vault's properties forbid its purge. */
export function isPurgeProtected(properties: Json): boolean {
  return properties["enablePurgeProtection"] === true;
}

/** For how long a deleted vault can be had again. */
export function retentionDays(properties: Json): number {
  const days = properties["softDeleteRetentionInDays"];
  return typeof days === "number" ? days : 90;
}
