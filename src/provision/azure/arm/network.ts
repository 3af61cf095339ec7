import { neededSubnets } from "../config/check-network.ts";
import type { AzureSection } from "../config/azure-section.ts";
import { guidFrom, idOf } from "./expressions.ts";
import { nestedDeployment } from "./nested.ts";
import { type ArmObject, type ArmResource, resource } from "./resource.ts";
import { nameFor, vnetPlace } from "./site.ts";

/**
 * The virtual network with a NAT gateway for what goes out (Azure gives no default way out since
 * 2026-03-31), a security group, and the peering with a hub. Nothing where a network exists already.
 */
export function networkResources(section: AzureSection): readonly ArmResource[] {
  const vnet = vnetPlace(section);
  if (vnet === null || !vnet.isMade) return [];
  return [natAddress(section), nat(section), securityGroup(section), network(section)].concat(
    peerings(section),
  );
}

function natAddress(section: AzureSection): ArmResource {
  const { region, tags } = section;
  return resource("Microsoft.Network/publicIPAddresses", {
    name: nameFor(section, "nat-ip"),
    location: region,
    tags,
    sku: { name: "Standard", tier: "Regional" },
    properties: { publicIPAllocationMethod: "Static", publicIPAddressVersion: "IPv4" },
  });
}

function nat(section: AzureSection): ArmResource {
  const { region, tags } = section;
  const address = idOf("Microsoft.Network/publicIPAddresses", nameFor(section, "nat-ip"));
  return resource("Microsoft.Network/natGateways", {
    name: nameFor(section, "nat"),
    location: region,
    tags,
    sku: { name: "Standard" },
    dependsOn: [address],
    properties: { idleTimeoutInMinutes: 10, publicIpAddresses: [{ id: address }] },
  });
}

/** SSH from the named networks to the VM's subnet; Azure's own last rule denies the rest. */
function securityGroup(section: AzureSection): ArmResource {
  const { region, tags, vm } = section;
  const from = vm?.sshFrom ?? [];
  const rules: readonly ArmObject[] =
    from.length === 0
      ? []
      : [
          {
            name: "ssh",
            properties: {
              access: "Allow",
              direction: "Inbound",
              priority: 100,
              protocol: "Tcp",
              sourceAddressPrefixes: from,
              sourcePortRange: "*",
              destinationAddressPrefix: section.network.subnets.vm,
              destinationPortRange: "22",
            },
          },
        ];
  return resource("Microsoft.Network/networkSecurityGroups", {
    name: nameFor(section, "nsg"),
    location: region,
    tags,
    properties: { securityRules: rules },
  });
}

function network(section: AzureSection): ArmResource {
  const { region, tags, network: config } = section;
  const natId = idOf("Microsoft.Network/natGateways", nameFor(section, "nat"));
  const groupId = idOf("Microsoft.Network/networkSecurityGroups", nameFor(section, "nsg"));
  // Storage and vault behind a firewall let the subnets in by their service endpoints.
  const services = config.allowedIpRanges.length > 0 && !config.privateEndpoints;
  const subnets = neededSubnets(section).map((name) => ({
    name: config.subnetNames[name],
    properties: {
      addressPrefix: config.subnets[name],
      defaultOutboundAccess: false,
      natGateway: { id: natId },
      // The cluster's own group guards its subnet: AKS changes it as services come and go.
      ...(name === "aks" ? {} : { networkSecurityGroup: { id: groupId } }),
      ...(name === "endpoints" ? { privateEndpointNetworkPolicies: "Enabled" } : {}),
      ...(services && name !== "endpoints"
        ? {
            serviceEndpoints: [{ service: "Microsoft.KeyVault" }, { service: "Microsoft.Storage" }],
          }
        : {}),
    },
  }));
  return resource("Microsoft.Network/virtualNetworks", {
    name: nameFor(section, "vnet"),
    location: region,
    tags,
    dependsOn: [natId, groupId],
    properties: { addressSpace: { addressPrefixes: [config.cidr] }, subnets },
  });
}

/** A peering has two halves, one in each network; the hub's is a deployment in the hub's group. */
function peerings(section: AzureSection): readonly ArmResource[] {
  const { hub } = section.network;
  if (hub === undefined) return [];
  const vnet = nameFor(section, "vnet");
  const vnetId = idOf("Microsoft.Network/virtualNetworks", vnet);
  const parts = hub.vnet.split("/");
  const name = `${section.prefix}-to-${section.resourceGroup}`.slice(0, 60).replace(/[^\w]+$/, "");
  const literalId = `/subscriptions/${section.subscription}/resourceGroups/${section.resourceGroup}/providers/Microsoft.Network/virtualNetworks/${vnet}`;
  const inner = resource("Microsoft.Network/virtualNetworks/virtualNetworkPeerings", {
    name: `${parts.at(-1) ?? ""}/${name}`,
    properties: half(literalId),
  });
  return [
    resource("Microsoft.Network/virtualNetworks/virtualNetworkPeerings", {
      name: `${vnet}/to-hub`,
      dependsOn: [vnetId],
      properties: half(hub.vnet),
    }),
    nestedDeployment({
      name: `ppml-hub-${guidFrom(hub.vnet, literalId).slice(0, 8)}`,
      group: { subscription: parts[2] ?? "", name: parts[4] ?? "" },
      resources: [inner],
      dependsOn: [vnetId],
    }),
  ];
}

function half(other: string): ArmObject {
  return {
    remoteVirtualNetwork: { id: other },
    allowVirtualNetworkAccess: true,
    allowForwardedTraffic: true,
    allowGatewayTransit: false,
    useRemoteGateways: false,
  };
}
