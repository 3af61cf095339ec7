import type { AzureSection } from "../config/azure-section.ts";
import { type ArmResource, resource } from "./resource.ts";
import { attestationPlace, logsPlace, registryPlace } from "./site.ts";

/** Attestation provider, container registry and workspace for logs. */
export function serviceResources(section: AzureSection): readonly ArmResource[] {
  return [...attestation(section), ...registry(section), ...logs(section)];
}

/** Without signing certificates of its own the provider trusts Entra ID for changes of its policy. */
function attestation(section: AzureSection): readonly ArmResource[] {
  const place = attestationPlace(section);
  if (place === null || !place.isMade) return [];
  const { region, tags, network } = section;
  return [
    resource("Microsoft.Attestation/attestationProviders", {
      name: place.name,
      location: region,
      tags,
      properties: {
        publicNetworkAccess: network.privateEndpoints ? "Disabled" : "Enabled",
      },
    }),
  ];
}

/** Only a Premium registry has private endpoints. */
function registry(section: AzureSection): readonly ArmResource[] {
  const place = registryPlace(section);
  if (place === null || !place.isMade) return [];
  const { region, tags } = section;
  const isPrivate = section.network.privateEndpoints;
  return [
    resource("Microsoft.ContainerRegistry/registries", {
      name: place.name,
      location: region,
      tags,
      sku: { name: isPrivate ? "Premium" : "Standard" },
      properties: {
        adminUserEnabled: false,
        anonymousPullEnabled: false,
        publicNetworkAccess: isPrivate ? "Disabled" : "Enabled",
        ...(isPrivate
          ? { networkRuleBypassOptions: "AzureServices", zoneRedundancy: "Enabled" }
          : {}),
      },
    }),
  ];
}

function logs(section: AzureSection): readonly ArmResource[] {
  const place = logsPlace(section);
  if (place === null || !place.isMade) return [];
  const { region, tags, logAnalytics } = section;
  return [
    resource("Microsoft.OperationalInsights/workspaces", {
      name: place.name,
      location: region,
      tags,
      properties: {
        sku: { name: "PerGB2018" },
        retentionInDays: logAnalytics?.retentionDays ?? 90,
        features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true },
      },
    }),
  ];
}
