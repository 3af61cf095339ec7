/** A value of an ARM template. */
export type ArmValue = string | number | boolean | readonly ArmValue[] | ArmObject;
export type ArmObject = { readonly [member: string]: ArmValue };

/** The API version of every resource type that the template uses. */
export const API_VERSIONS = {
  "Microsoft.Attestation/attestationProviders": "2021-06-01",
  "Microsoft.Authorization/roleAssignments": "2022-04-01",
  "Microsoft.Compute/virtualMachines": "2026-03-01",
  "Microsoft.ContainerRegistry/registries": "2025-04-01",
  "Microsoft.ContainerService/managedClusters": "2026-05-01",
  "Microsoft.ContainerService/managedClusters/agentPools": "2026-05-01",
  "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",
  "Microsoft.KeyVault/managedHSMs": "2026-02-01",
  "Microsoft.KeyVault/managedHSMs/keys": "2026-02-01",
  "Microsoft.KeyVault/vaults": "2026-02-01",
  "Microsoft.KeyVault/vaults/keys": "2026-02-01",
  "Microsoft.ManagedIdentity/userAssignedIdentities": "2024-11-30",
  "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials": "2024-11-30",
  "Microsoft.Network/natGateways": "2025-07-01",
  "Microsoft.Network/networkInterfaces": "2025-07-01",
  "Microsoft.Network/networkSecurityGroups": "2025-07-01",
  "Microsoft.Network/privateDnsZones": "2024-06-01",
  "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2024-06-01",
  "Microsoft.Network/privateEndpoints": "2025-07-01",
  "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2025-07-01",
  "Microsoft.Network/publicIPAddresses": "2025-07-01",
  "Microsoft.Network/virtualNetworks": "2025-07-01",
  "Microsoft.Network/virtualNetworks/virtualNetworkPeerings": "2025-07-01",
  "Microsoft.OperationalInsights/workspaces": "2025-07-01",
  "Microsoft.Resources/deployments": "2025-04-01",
  "Microsoft.Storage/storageAccounts": "2026-04-01",
  "Microsoft.Storage/storageAccounts/blobServices": "2026-04-01",
  "Microsoft.Storage/storageAccounts/blobServices/containers": "2026-04-01",
} as const;

/** A resource type that the template may use. */
export type ArmType = keyof typeof API_VERSIONS;

/** One resource of the template, as ARM takes it. */
export type ArmResource = {
  readonly type: ArmType;
  readonly apiVersion: string;
  /** With its parents' names before it, separated by slashes. */
  readonly name: string;
  readonly location?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly kind?: string;
  readonly sku?: ArmObject;
  readonly identity?: ArmObject;
  /** What an extension resource (role assignment, diagnostic setting) belongs to: an expression. */
  readonly scope?: string;
  /** Another group, of a nested deployment. */
  readonly subscriptionId?: string;
  readonly resourceGroup?: string;
  readonly dependsOn?: readonly string[];
  readonly properties: ArmObject;
};

/** A deployment template of a resource group. */
export type ArmTemplate = {
  readonly $schema: typeof TEMPLATE_SCHEMA;
  readonly contentVersion: string;
  readonly resources: readonly ArmResource[];
  readonly outputs: Readonly<Record<string, { readonly type: "string"; readonly value: string }>>;
};

export const TEMPLATE_SCHEMA =
  "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#";

/** What a resource is made of besides its type: the API version comes from the table. */
export type ResourceBody = Omit<ArmResource, "type" | "apiVersion">;

/** Makes a resource; empty lists of dependencies are left out. */
export function resource(type: ArmType, body: ResourceBody): ArmResource {
  const { dependsOn = [], properties, ...rest } = body;
  return {
    type,
    apiVersion: API_VERSIONS[type],
    ...rest,
    ...(dependsOn.length === 0 ? {} : { dependsOn: [...new Set(dependsOn)] }),
    properties,
  };
}
