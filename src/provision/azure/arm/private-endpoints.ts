import { neededSubnets } from "../config/check-network.ts";
import type { AzureSection } from "../config/azure-section.ts";
import { idOf } from "./expressions.ts";
import { type ArmResource, resource } from "./resource.ts";
import {
  attestationPlace,
  dependenciesOn,
  nameFor,
  type Place,
  registryPlace,
  storagePlace,
  subnetId,
  vaultPlace,
  vnetPlace,
} from "./site.ts";

type Endpoint = {
  readonly name: string;
  readonly place: Place;
  /** The part of the service that the endpoint is for. */
  readonly groupId: string;
  /** Its private DNS zone. */
  readonly zone: string;
};

/**
 * Private endpoints with their DNS zones. A Data Lake needs two, for `dfs` and `blob`: each of the
 * two answers calls that the other does not.
 * @see learn.microsoft.com/azure/private-link/private-endpoint-dns
 */
export function privateEndpointResources(section: AzureSection): readonly ArmResource[] {
  if (!neededSubnets(section).includes("endpoints")) return [];
  const endpoints = endpointsOf(section);
  const zones = [...new Set(endpoints.map(({ zone }) => zone))].sort();
  const hasOwnZones = section.network.privateDnsZones === undefined;
  return [
    ...(hasOwnZones ? zones.flatMap((zone) => zoneResources(section, zone)) : []),
    ...endpoints.flatMap((endpoint) => endpointResources(section, endpoint)),
  ];
}

function endpointsOf(section: AzureSection): readonly Endpoint[] {
  const isHsm = section.keyVault?.sku === "managedHsm";
  return [
    ...partsOf(storagePlace(section), [
      ["dfs", "dfs", "privatelink.dfs.core.windows.net"],
      ["blob", "blob", "privatelink.blob.core.windows.net"],
    ]),
    ...partsOf(vaultPlace(section), [
      isHsm
        ? ["hsm", "managedhsm", "privatelink.managedhsm.azure.net"]
        : ["vault", "vault", "privatelink.vaultcore.azure.net"],
    ]),
    ...partsOf(attestationPlace(section), [
      ["attestation", "standard", "privatelink.attest.azure.net"],
    ]),
    ...partsOf(registryPlace(section), [["registry", "registry", "privatelink.azurecr.io"]]),
  ];
}

type Part = readonly [name: string, groupId: string, zone: string];

function partsOf(place: Place | null, parts: readonly Part[]): readonly Endpoint[] {
  if (place === null) return [];
  return parts.map(([name, groupId, zone]) => ({ name, place, groupId, zone }));
}

function zoneResources(section: AzureSection, zone: string): readonly ArmResource[] {
  const zoneId = idOf("Microsoft.Network/privateDnsZones", zone);
  const vnet = vnetPlace(section);
  return [
    resource("Microsoft.Network/privateDnsZones", {
      name: zone,
      location: "global",
      tags: section.tags,
      properties: {},
    }),
    resource("Microsoft.Network/privateDnsZones/virtualNetworkLinks", {
      name: `${zone}/${nameFor(section, "vnet")}`,
      location: "global",
      tags: section.tags,
      dependsOn: [zoneId, ...dependenciesOn(vnet)],
      properties: { registrationEnabled: false, virtualNetwork: { id: vnet?.id ?? "" } },
    }),
  ];
}

function endpointResources(section: AzureSection, endpoint: Endpoint): readonly ArmResource[] {
  const { name, place, groupId, zone } = endpoint;
  const { privateDnsZones } = section.network;
  const endpointName = nameFor(section, `pe-${name}`);
  const endpointId = idOf("Microsoft.Network/privateEndpoints", endpointName);
  const zoneId =
    privateDnsZones === undefined
      ? idOf("Microsoft.Network/privateDnsZones", zone)
      : `${privateDnsZones}/providers/Microsoft.Network/privateDnsZones/${zone}`;
  return [
    resource("Microsoft.Network/privateEndpoints", {
      name: endpointName,
      location: section.region,
      tags: section.tags,
      dependsOn: dependenciesOn(vnetPlace(section), place),
      properties: {
        subnet: { id: subnetId(section, "endpoints") },
        privateLinkServiceConnections: [
          { name, properties: { privateLinkServiceId: place.id, groupIds: [groupId] } },
        ],
      },
    }),
    resource("Microsoft.Network/privateEndpoints/privateDnsZoneGroups", {
      name: `${endpointName}/default`,
      dependsOn: [endpointId, ...(privateDnsZones === undefined ? [zoneId] : [])],
      properties: {
        privateDnsZoneConfigs: [{ name, properties: { privateDnsZoneId: zoneId } }],
      },
    }),
  ];
}
