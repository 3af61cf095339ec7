import { z } from "zod";
import { badRequest } from "../refusal.ts";
import { objectAt, textAt } from "../type-spec.ts";
import type { TypeSpec } from "../type-spec.ts";
import {
  armId,
  completeIdentity,
  identityLinks,
  identityShape,
  kept,
  onOff,
  skuOf,
} from "./shapes.ts";

const API_VERSIONS = [
  "2026-04-01",
  "2025-08-01",
  "2025-06-01",
  "2025-01-01",
  "2024-01-01",
  "2023-05-01",
  "2023-01-01",
];

const encryptedService = z.strictObject({
  enabled: z.boolean().optional(),
  keyType: z.enum(["Account", "Service"]).optional(),
});

const accounts: TypeSpec = {
  type: "Microsoft.Storage/storageAccounts",
  apiVersions: API_VERSIONS,
  name: /^[a-z0-9]{3,24}$/,
  isTracked: true,
  worldwide: "storage",
  madeStatus: 200,
  top: {
    kind: z.enum(["StorageV2", "BlockBlobStorage", "BlobStorage", "FileStorage", "Storage"]),
    sku: skuOf(
      "Standard_LRS",
      "Standard_ZRS",
      "Standard_GRS",
      "Standard_RAGRS",
      "Standard_GZRS",
      "Standard_RAGZRS",
      "Premium_LRS",
      "Premium_ZRS",
    ),
    identity: identityShape.optional(),
  },
  hasOptionalProperties: true,
  properties: z.strictObject({
    isHnsEnabled: z.boolean().optional(),
    accessTier: z.enum(["Hot", "Cool", "Cold", "Premium"]).optional(),
    allowSharedKeyAccess: z.boolean().optional(),
    defaultToOAuthAuthentication: z.boolean().optional(),
    allowBlobPublicAccess: z.boolean().optional(),
    allowCrossTenantReplication: z.boolean().optional(),
    minimumTlsVersion: z.enum(["TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3"]).optional(),
    supportsHttpsTrafficOnly: z.boolean().optional(),
    isLocalUserEnabled: z.boolean().optional(),
    isSftpEnabled: z.boolean().optional(),
    isNfsV3Enabled: z.boolean().optional(),
    largeFileSharesState: onOff.optional(),
    publicNetworkAccess: z.enum(["Enabled", "Disabled", "SecuredByPerimeter"]).optional(),
    networkAcls: z
      .strictObject({
        bypass: z.string().optional(),
        defaultAction: z.enum(["Allow", "Deny"]),
        ipRules: z
          .array(z.strictObject({ value: z.string(), action: z.literal("Allow").optional() }))
          .optional(),
        virtualNetworkRules: z
          .array(z.strictObject({ id: armId, action: z.literal("Allow").optional() }))
          .optional(),
        resourceAccessRules: z.array(z.unknown()).max(0).optional(),
      })
      .optional(),
    encryption: z
      .strictObject({
        keySource: z
          .literal("Microsoft.Storage", "the double knows Microsoft's keys only")
          .optional(),
        requireInfrastructureEncryption: z.boolean().optional(),
        services: z
          .strictObject({
            blob: encryptedService.optional(),
            file: encryptedService.optional(),
            table: encryptedService.optional(),
            queue: encryptedService.optional(),
          })
          .optional(),
      })
      .optional(),
  }),
  check: ({ before, properties }) => {
    const was = before?.properties["isHnsEnabled"] ?? false;
    if (
      before !== null &&
      properties["isHnsEnabled"] !== undefined &&
      properties["isHnsEnabled"] !== was
    )
      throw badRequest(
        "CannotUpdateIsHnsEnabled",
        "The property 'isHnsEnabled' was specified in the input, but it cannot be updated.",
      );
  },
  linked: identityLinks,
  complete: (input, context) => {
    const { name } = input.id;
    const endpoint = (part: string): string => `https://${name}.${part}.core.windows.net/`;
    return {
      top: completeIdentity(input, context),
      properties: {
        isHnsEnabled: false,
        allowSharedKeyAccess: true,
        allowBlobPublicAccess: false,
        minimumTlsVersion: "TLS1_2",
        supportsHttpsTrafficOnly: true,
        accessTier: "Hot",
        publicNetworkAccess: "Enabled",
        networkAcls: {
          bypass: "AzureServices",
          defaultAction: "Allow",
          ipRules: [],
          virtualNetworkRules: [],
        },
        ...input.properties,
        primaryEndpoints: { blob: endpoint("blob"), dfs: endpoint("dfs"), web: endpoint("z5.web") },
        primaryLocation: input.location,
        statusOfPrimary: "available",
        creationTime: kept(input, "creationTime", () => new Date(context.clock()).toISOString()),
        provisioningState: "Succeeded",
      },
    };
  },
};

const retention = z.strictObject({
  enabled: z.boolean(),
  days: z.int().min(1).max(365).optional(),
  allowPermanentDelete: z.boolean().optional(),
});

const blobServices: TypeSpec = {
  type: "Microsoft.Storage/storageAccounts/blobServices",
  apiVersions: API_VERSIONS,
  name: /^default$/,
  isTracked: false,
  madeStatus: 200,
  hasOptionalProperties: true,
  properties: z.strictObject({
    deleteRetentionPolicy: retention.optional(),
    containerDeleteRetentionPolicy: retention.optional(),
    isVersioningEnabled: z.boolean().optional(),
    changeFeed: z.strictObject({ enabled: z.boolean() }).optional(),
  }),
  check: ({ id, properties }, { authority }) => {
    const account = authority.resource(accounts.type, id.name.split("/")[0] ?? "");
    const isHierarchical = objectAt(account?.body ?? {}, "properties")["isHnsEnabled"] === true;
    if (isHierarchical && properties["isVersioningEnabled"] === true)
      throw badRequest(
        "FeatureNotSupportedForAccount",
        "Versioning is not supported for accounts with a hierarchical namespace.",
      );
  },
  complete: ({ properties }) => ({
    properties: { deleteRetentionPolicy: { enabled: false }, ...properties },
  }),
};

const containers: TypeSpec = {
  type: "Microsoft.Storage/storageAccounts/blobServices/containers",
  isOfDataPlane: true,
  apiVersions: API_VERSIONS,
  name: /^(?!.*--)[a-z0-9$][a-z0-9-]{1,61}[a-z0-9]$/,
  isTracked: false,
  hasOptionalProperties: true,
  properties: z.strictObject({
    publicAccess: z.enum(["None", "Blob", "Container"]).optional(),
    metadata: z.record(z.string(), z.string()).optional(),
    defaultEncryptionScope: z.string().optional(),
    denyEncryptionScopeOverride: z.boolean().optional(),
  }),
  complete: ({ properties }, { clock }) => ({
    properties: {
      publicAccess: "None",
      ...properties,
      lastModifiedTime: new Date(clock()).toISOString(),
      leaseStatus: "Unlocked",
      leaseState: "Available",
      hasImmutabilityPolicy: false,
      hasLegalHold: false,
    },
  }),
};

const registries: TypeSpec = {
  type: "Microsoft.ContainerRegistry/registries",
  apiVersions: ["2025-04-01", "2026-09-01-preview", "2024-11-01-preview", "2023-07-01"],
  name: /^[A-Za-z0-9]{5,50}$/,
  isTracked: true,
  worldwide: "registry",
  top: { sku: skuOf("Basic", "Standard", "Premium"), identity: identityShape.optional() },
  hasOptionalProperties: true,
  properties: z.strictObject({
    adminUserEnabled: z.boolean().optional(),
    anonymousPullEnabled: z.boolean().optional(),
    publicNetworkAccess: onOff.optional(),
    networkRuleBypassOptions: z.enum(["AzureServices", "None"]).optional(),
    zoneRedundancy: onOff.optional(),
    dataEndpointEnabled: z.boolean().optional(),
  }),
  check: ({ body, properties }) => {
    const isPremium = textAt(objectAt(body, "sku"), "name") === "Premium";
    if (!isPremium && properties["publicNetworkAccess"] === "Disabled")
      throw badRequest(
        "SkuNotSupported",
        "The sku does not support disabling public network access: Premium does.",
      );
  },
  linked: identityLinks,
  complete: (input, context) => ({
    top: completeIdentity(input, context),
    properties: {
      adminUserEnabled: false,
      publicNetworkAccess: "Enabled",
      ...input.properties,
      loginServer: `${input.id.name.toLowerCase()}.azurecr.io`,
      creationDate: kept(input, "creationDate", () => new Date(context.clock()).toISOString()),
      provisioningState: "Succeeded",
    },
  }),
};

const workspaces: TypeSpec = {
  type: "Microsoft.OperationalInsights/workspaces",
  apiVersions: ["2025-07-01", "2025-02-01", "2023-09-01", "2022-10-01"],
  name: /^[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]$/,
  isTracked: true,
  hasOptionalProperties: true,
  properties: z.strictObject({
    sku: z
      .strictObject({ name: z.enum(["PerGB2018", "Free", "Standalone", "CapacityReservation"]) })
      .optional(),
    retentionInDays: z.int().min(30).max(730).optional(),
    features: z.record(z.string(), z.unknown()).optional(),
    publicNetworkAccessForIngestion: onOff.optional(),
    publicNetworkAccessForQuery: onOff.optional(),
  }),
  complete: (input) => ({
    properties: {
      sku: { name: "PerGB2018" },
      retentionInDays: 30,
      ...input.properties,
      customerId: kept(input, "customerId", () => crypto.randomUUID()),
      provisioningState: "Succeeded",
    },
  }),
};

const diagnosticSettings: TypeSpec = {
  type: "Microsoft.Insights/diagnosticSettings",
  apiVersions: ["2021-05-01-preview"],
  name: /^[^*<>%&:\\?+/]{1,260}$/,
  isTracked: false,
  isExtension: true,
  properties: z.strictObject({
    workspaceId: armId.optional(),
    storageAccountId: armId.optional(),
    logAnalyticsDestinationType: z.string().optional(),
    logs: z
      .array(
        z.strictObject({
          category: z.string().optional(),
          categoryGroup: z.string().optional(),
          enabled: z.boolean(),
          retentionPolicy: z.strictObject({ enabled: z.boolean(), days: z.int() }).optional(),
        }),
      )
      .optional(),
    metrics: z.array(z.strictObject({ category: z.string(), enabled: z.boolean() })).optional(),
  }),
  complete: ({ properties }) => ({ properties: { ...properties } }),
};

/** Storage, the container registry, and where logs go. */
export const STORAGE_TYPES: readonly TypeSpec[] = [
  accounts,
  blobServices,
  containers,
  registries,
  workspaces,
  diagnosticSettings,
];
