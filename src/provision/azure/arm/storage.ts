import type { AzureSection } from "../config/azure-section.ts";
import { type ArmObject, type ArmResource, resource } from "./resource.ts";
import { dependenciesOn, storagePlace, subnetId, vnetPlace } from "./site.ts";
import { neededSubnets } from "../config/check-network.ts";

/**
 * The account with a hierarchical namespace and its filesystem. Versioning, change feed and restore
 * do not exist with such a namespace: soft delete is what there is.
 * @see learn.microsoft.com/azure/storage/blobs/storage-feature-support-in-storage-accounts
 */
export function storageResources(section: AzureSection): readonly ArmResource[] {
  const place = storagePlace(section);
  const { storage, region, tags } = section;
  if (storage === undefined || place === null || !place.isMade) return [];
  const retention = { enabled: true, days: storage.softDeleteDays };
  const account = resource("Microsoft.Storage/storageAccounts", {
    name: place.name,
    location: region,
    tags,
    kind: "StorageV2",
    sku: { name: `Standard_${storage.redundancy}` },
    dependsOn: dependenciesOn(vnetPlace(section)),
    properties: {
      isHnsEnabled: true,
      accessTier: "Hot",
      allowSharedKeyAccess: storage.sharedKey,
      defaultToOAuthAuthentication: true,
      allowBlobPublicAccess: false,
      allowCrossTenantReplication: false,
      minimumTlsVersion: "TLS1_2",
      supportsHttpsTrafficOnly: true,
      isLocalUserEnabled: false,
      isSftpEnabled: false,
      publicNetworkAccess: section.network.privateEndpoints ? "Disabled" : "Enabled",
      networkAcls: storageFirewall(section),
      encryption: {
        keySource: "Microsoft.Storage",
        requireInfrastructureEncryption: true,
        services: { blob: { enabled: true, keyType: "Account" } },
      },
    },
  });
  const service = resource("Microsoft.Storage/storageAccounts/blobServices", {
    name: `${place.name}/default`,
    dependsOn: dependenciesOn(place),
    properties: {
      deleteRetentionPolicy: { ...retention, allowPermanentDelete: false },
      containerDeleteRetentionPolicy: retention,
    },
  });
  return [account, service, filesystem(place.name, storage.filesystem)];
}

function filesystem(account: string, name: string): ArmResource {
  return resource("Microsoft.Storage/storageAccounts/blobServices/containers", {
    name: `${account}/default/${name}`,
    dependsOn: [
      `[resourceId('Microsoft.Storage/storageAccounts/blobServices', '${account}', 'default')]`,
    ],
    properties: { publicAccess: "None" },
  });
}

/** Who may reach a service at all, before any login: nobody but the endpoints, the named, or all. */
export function networkRules(section: AzureSection): {
  readonly defaultAction: "Allow" | "Deny";
  readonly addresses: readonly string[];
  readonly subnets: readonly string[];
} {
  const { privateEndpoints, allowedIpRanges } = section.network;
  if (privateEndpoints) return { defaultAction: "Deny", addresses: [], subnets: [] };
  if (allowedIpRanges.length === 0) return { defaultAction: "Allow", addresses: [], subnets: [] };
  const subnets = neededSubnets(section)
    .filter((name) => name !== "endpoints")
    .map((name) => subnetId(section, name));
  return { defaultAction: "Deny", addresses: allowedIpRanges, subnets };
}

function storageFirewall(section: AzureSection): ArmObject {
  const { defaultAction, addresses, subnets } = networkRules(section);
  return {
    bypass: "AzureServices",
    defaultAction,
    // A single address is written without a length there.
    ipRules: addresses.map((value) => ({ value: value.replace(/\/32$/, ""), action: "Allow" })),
    virtualNetworkRules: subnets.map((id) => ({ id, action: "Allow" })),
  };
}
