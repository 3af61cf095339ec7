import { z } from "zod";
import { toTimestamp } from "../../../base/index.ts";
import { maaIssuerOf } from "../../maa/service.ts";
import { builtInRole } from "../../rbac/built-in-roles.ts";
import { PRINCIPALS, RESOURCES, ROLE_ASSIGNMENTS } from "../../state-kinds.ts";
import { addPrincipal, newPrincipal } from "../../first-start.ts";
import { ArmRefusal, badRequest } from "../refusal.ts";
import { textAt } from "../type-spec.ts";
import type { ArmContext, Json, ResourceInput, TypeSpec } from "../type-spec.ts";
import { armId, guidSchema, kept, newId, onOff } from "./shapes.ts";

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
  if (days !== undefined && wanted !== undefined && days !== wanted)
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
    initialAdminObjectIds: z.array(guidSchema).min(1),
  }),
  writeOnly: ["createMode"],
  check: (input) => checkVault(input),
  complete: ({ id, properties }) => ({
    properties: {
      enableSoftDelete: true,
      softDeleteRetentionInDays: 90,
      ...properties,
      hsmUri: `https://${id.name.toLowerCase()}.managedhsm.azure.net/`,
      statusMessage: "The Managed HSM is provisioned and ready to use.",
      securityDomainProperties: { activationStatus: "NotActivated" },
      provisioningState: "Succeeded",
    },
  }),
};

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

const vaultKeys: TypeSpec = {
  type: "Microsoft.KeyVault/vaults/keys",
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

const identities: TypeSpec = {
  type: "Microsoft.ManagedIdentity/userAssignedIdentities",
  apiVersions: ["2024-11-30", "2025-05-31-preview", "2023-07-31-preview", "2023-01-31"],
  name: /^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$/,
  isTracked: true,
  hasOptionalProperties: true,
  properties: z.strictObject({ isolationScope: z.enum(["None", "Regional"]).optional() }),
  complete: (input, { tenantId }) => ({
    properties: {
      ...input.properties,
      tenantId,
      principalId: kept(input, "principalId", newId),
      clientId: kept(input, "clientId", newId),
    },
  }),
  onPut: ({ id, name, properties }, { state, tenantId }) => {
    const objectId = textAt(properties, "principalId");
    addPrincipal(state, {
      ...newPrincipal({ tenantId, displayName: name }),
      objectId,
      clientId: textAt(properties, "clientId"),
      kind: "managed-identity",
      resourceId: id,
    });
  },
  // Its role assignments stay, as in Azure, and are of nobody.
  onDelete: ({ properties }, { state }) => {
    state.remove(PRINCIPALS, textAt(properties, "principalId"));
  },
};

const federatedCredentials: TypeSpec = {
  type: "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
  apiVersions: identities.apiVersions,
  name: /^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$/,
  isTracked: false,
  properties: z.strictObject({
    issuer: z.url({ protocol: /^https$/ }),
    subject: z.string().min(1).max(600),
    audiences: z.array(z.string()).length(1),
  }),
  check: ({ id, properties }, { state }) => {
    const siblings = state
      .list(RESOURCES, {
        prefix: `${(id.parent ?? "").toLowerCase()}/federatedidentitycredentials/`,
      })
      .filter(({ id: key }) => key !== id.key);
    const { issuer, subject } = properties;
    if (
      siblings.some(
        ({ document }) =>
          document.properties["issuer"] === issuer && document.properties["subject"] === subject,
      )
    )
      throw new ArmRefusal(409, "Conflict", {
        message: "Issuer and subject combination already exists for this Managed Identity.",
      });
    if (siblings.length >= 20)
      throw badRequest("BadRequest", "Too many Federated Identity Credentials: at most 20.");
  },
};

const roleAssignments: TypeSpec = {
  type: "Microsoft.Authorization/roleAssignments",
  apiVersions: ["2022-04-01", "2020-10-01-preview", "2020-04-01-preview"],
  name: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  isTracked: false,
  isExtension: true,
  properties: z.strictObject({
    roleDefinitionId: z.string(),
    principalId: guidSchema,
    principalType: z
      .enum(["User", "Group", "ServicePrincipal", "ForeignGroup", "Device"])
      .optional(),
    description: z.string().max(2000).optional(),
    condition: z.null("the double does not evaluate conditions").optional(),
    conditionVersion: z.null().optional(),
    delegatedManagedIdentityResourceId: z.null().optional(),
  }),
  check: checkAssignment,
  complete: (input, { clock, tenantId }) => ({
    properties: {
      principalType: "ServicePrincipal",
      condition: null,
      conditionVersion: null,
      ...input.properties,
      scope: input.id.scope === "" ? "/" : input.id.scope,
      tenantId,
      createdOn: kept(input, "createdOn", () => toTimestamp(clock())),
      updatedOn: kept(input, "updatedOn", () => toTimestamp(clock())),
      createdBy: kept(input, "createdBy", () => input.principal.objectId),
    },
  }),
  onPut: ({ id, properties }, { state }) => {
    state.put(ROLE_ASSIGNMENTS, id.toLowerCase(), {
      id,
      scope: textAt(properties, "scope"),
      principalId: textAt(properties, "principalId"),
      principalType: textAt(properties, "principalType"),
      roleDefinitionId: textAt(properties, "roleDefinitionId"),
      createdOn: textAt(properties, "createdOn"),
      createdBy: textAt(properties, "createdBy"),
      description: textAt(properties, "description"),
    });
  },
  onDelete: ({ id }, { state }) => {
    state.remove(ROLE_ASSIGNMENTS, id.toLowerCase());
  },
};

/** @see learn.microsoft.com/azure/role-based-access-control/troubleshooting */
function checkAssignment(input: ResourceInput, { state, tenantId }: ArmContext): void {
  const { properties, before, id } = input;
  const role = textAt(properties, "roleDefinitionId");
  const principalId = textAt(properties, "principalId");
  if (builtInRole(role) === null)
    throw badRequest(
      "RoleDefinitionDoesNotExist",
      `The specified role definition with ID '${role.split("/").at(-1) ?? ""}' does not exist. (The double knows the built-in roles of docs/twin.md.)`,
    );
  if (properties["principalType"] === undefined && state.get(PRINCIPALS, principalId) === null)
    throw badRequest(
      "PrincipalNotFound",
      `Principal ${principalId.replaceAll("-", "")} does not exist in the directory ${tenantId}. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype`,
    );
  const was = before?.properties ?? {};
  if (before !== null && (was["principalId"] !== principalId || !isSameRole(was, role)))
    throw badRequest(
      "RoleAssignmentUpdateNotPermitted",
      "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
    );
  const twin = state
    .list(ROLE_ASSIGNMENTS)
    .find(
      ({ id: key, document }) =>
        key !== id.key &&
        document.principalId === principalId &&
        document.scope.toLowerCase() === id.scope.toLowerCase() &&
        isSameRole(document, role),
    );
  if (twin !== undefined)
    throw new ArmRefusal(409, "RoleAssignmentExists", {
      message: `The role assignment already exists. The ID of the existing role assignment is ${(twin.id.split("/").at(-1) ?? "").replaceAll("-", "")}.`,
    });
}

function isSameRole(one: Json, role: string): boolean {
  const name = textAt(one, "roleDefinitionId").split("/").at(-1)?.toLowerCase();
  return name === role.split("/").at(-1)?.toLowerCase();
}

const attestation: TypeSpec = {
  type: "Microsoft.Attestation/attestationProviders",
  apiVersions: ["2021-06-01", "2020-10-01"],
  name: /^[a-z0-9]{3,24}$/,
  isTracked: true,
  worldwide: "attestation",
  properties: z.strictObject({
    publicNetworkAccess: onOff.optional(),
    policySigningCertificates: z
      .strictObject({ keys: z.array(z.record(z.string(), z.unknown())).optional() })
      .optional(),
    tpmAttestationAuthentication: onOff.optional(),
  }),
  complete: ({ id, location, properties }) => {
    const host = `${id.name}.${regionCode(location)}.attest.azure.net`;
    return {
      properties: {
        publicNetworkAccess: "Enabled",
        ...properties,
        attestUri: `https://${host}`,
        trustModel: "AAD",
        status: "Ready",
        // Whose tokens the double issues there: never Azure's own name.
        ppmlSimulatedIssuer: maaIssuerOf(host),
      },
    };
  },
};

/** Azure Attestation's short names of regions: eastus2 is eus2. */
function regionCode(location: string): string {
  const names: Readonly<Record<string, string>> = {
    eastus: "eus",
    eastus2: "eus2",
    westus: "wus",
    westus3: "wus3",
    centralus: "cus",
    northeurope: "neu",
    westeurope: "weu",
    uksouth: "uks",
    southeastasia: "sasia",
    japaneast: "jpe",
  };
  return names[location] ?? location.slice(0, 8);
}

/** Key Vault, identities, roles and attestation. */
export const SECURITY_TYPES: readonly TypeSpec[] = [
  vaults,
  managedHsms,
  vaultKeys,
  vaultSecrets,
  identities,
  federatedCredentials,
  roleAssignments,
  attestation,
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
