import { z } from "zod";
import { badRequest } from "../refusal.ts";
import { isWithin, overlaps } from "../addresses.ts";
import { objectAt, objectsAt, textAt } from "../type-spec.ts";
import type { Completion, Json, ResourceInput, TypeSpec } from "../type-spec.ts";
import { armId, cidr, kept, newId, onOff, reference, skuOf } from "./shapes.ts";

const API_VERSIONS = [
  "2025-07-01",
  "2026-01-01",
  "2025-09-01",
  "2025-05-01",
  "2025-01-01",
  "2024-07-01",
  "2024-05-01",
  "2023-11-01",
  "2022-01-01",
];
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$/;
const port = z.string().regex(/^(?:\*|\d{1,5}(?:-\d{1,5})?)$/);

const rule = z.strictObject({
  name: z.string(),
  properties: z.strictObject({
    access: z.enum(["Allow", "Deny"]),
    direction: z.enum(["Inbound", "Outbound"]),
    priority: z.int().min(100).max(4096),
    protocol: z.enum(["Tcp", "Udp", "Icmp", "Esp", "Ah", "*"]),
    description: z.string().optional(),
    sourceAddressPrefix: z.string().optional(),
    sourceAddressPrefixes: z.array(z.string()).optional(),
    sourcePortRange: port.optional(),
    sourcePortRanges: z.array(port).optional(),
    destinationAddressPrefix: z.string().optional(),
    destinationAddressPrefixes: z.array(z.string()).optional(),
    destinationPortRange: port.optional(),
    destinationPortRanges: z.array(port).optional(),
  }),
});

const subnet = z.strictObject({
  name: z.string().regex(NAME),
  properties: z.strictObject({
    addressPrefix: cidr.optional(),
    addressPrefixes: z.array(cidr).optional(),
    defaultOutboundAccess: z.boolean().optional(),
    natGateway: reference.optional(),
    networkSecurityGroup: reference.optional(),
    routeTable: reference.optional(),
    privateEndpointNetworkPolicies: z.string().optional(),
    privateLinkServiceNetworkPolicies: onOff.optional(),
    serviceEndpoints: z
      .array(z.strictObject({ service: z.string(), locations: z.array(z.string()).optional() }))
      .optional(),
    delegations: z.array(z.record(z.string(), z.unknown())).optional(),
  }),
});

const networks: TypeSpec = {
  type: "Microsoft.Network/virtualNetworks",
  apiVersions: API_VERSIONS,
  name: NAME,
  isTracked: true,
  properties: z.strictObject({
    addressSpace: z.strictObject({ addressPrefixes: z.array(cidr).min(1) }),
    subnets: z.array(subnet).optional(),
    enableDdosProtection: z.boolean().optional(),
    enableVmProtection: z.boolean().optional(),
    dhcpOptions: z.strictObject({ dnsServers: z.array(z.string()) }).optional(),
  }),
  check: checkNetwork,
  complete: (input) => ({
    properties: {
      enableDdosProtection: false,
      virtualNetworkPeerings: input.before?.properties["virtualNetworkPeerings"] ?? [],
      ...input.properties,
      subnets: objectsAt(input.properties, "subnets").map((one) => withId(input, "subnets", one)),
      resourceGuid: kept(input, "resourceGuid", newId),
      provisioningState: "Succeeded",
    },
  }),
};

/** Subnets lie in the network and apart from each other. */
function checkNetwork({ properties }: ResourceInput): void {
  const space = objectAt(properties, "addressSpace")["addressPrefixes"];
  const prefixes = Array.isArray(space) ? space.map(String) : [];
  const subnets = objectsAt(properties, "subnets").map((one) => ({
    name: textAt(one, "name"),
    prefix: textAt(objectAt(one, "properties"), "addressPrefix"),
  }));
  for (const [index, { name, prefix }] of subnets.entries()) {
    if (!prefixes.some((outer) => isWithin(prefix, outer)))
      throw badRequest(
        "NetcfgInvalidSubnet",
        `Subnet '${name}' is not valid because its IP address range is outside the IP address range of virtual network.`,
      );
    const other = subnets.slice(0, index).find((one) => overlaps(one.prefix, prefix));
    if (other !== undefined)
      throw badRequest(
        "NetcfgSubnetRangesOverlap",
        `Subnet '${name}' is not valid because its IP address range overlaps with that of an existing subnet in virtual network.`,
      );
  }
}

const peerings: TypeSpec = {
  type: "Microsoft.Network/virtualNetworks/virtualNetworkPeerings",
  apiVersions: API_VERSIONS,
  name: NAME,
  isTracked: false,
  properties: z.strictObject({
    remoteVirtualNetwork: reference,
    allowVirtualNetworkAccess: z.boolean().optional(),
    allowForwardedTraffic: z.boolean().optional(),
    allowGatewayTransit: z.boolean().optional(),
    useRemoteGateways: z.boolean().optional(),
  }),
  linked: ({ properties }) => [
    {
      action: "Microsoft.Network/virtualNetworks/peer/action",
      scope: textAt(objectAt(properties, "remoteVirtualNetwork"), "id"),
    },
  ],
  complete: ({ properties }) => ({
    properties: { ...properties, peeringState: "Initiated", provisioningState: "Succeeded" },
  }),
};

function plain(type: string, spec: Pick<TypeSpec, "properties"> & Partial<TypeSpec>): TypeSpec {
  return {
    type,
    apiVersions: API_VERSIONS,
    name: NAME,
    isTracked: true,
    complete: ({ properties }): Completion => ({
      properties: { ...properties, provisioningState: "Succeeded" },
    }),
    ...spec,
  };
}

const zoneName = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9]{2,63}$/;

/** Networks and what belongs to them. */
export const NETWORK_TYPES: readonly TypeSpec[] = [
  networks,
  peerings,
  plain("Microsoft.Network/networkSecurityGroups", {
    hasOptionalProperties: true,
    properties: z.strictObject({ securityRules: z.array(rule).optional() }),
  }),
  plain("Microsoft.Network/publicIPAddresses", {
    top: { sku: skuOf("Standard", "StandardV2", "Basic"), zones: z.array(z.string()).optional() },
    properties: z.strictObject({
      publicIPAllocationMethod: z.enum(["Static", "Dynamic"]),
      publicIPAddressVersion: z.enum(["IPv4", "IPv6"]).optional(),
      idleTimeoutInMinutes: z.int().optional(),
      dnsSettings: z.strictObject({ domainNameLabel: z.string() }).optional(),
    }),
    // An address of the documents' own range: it leads nowhere (RFC 5737).
    complete: (input, { random }) => ({
      properties: {
        ...input.properties,
        ipAddress: kept(input, "ipAddress", () => `203.0.113.${random(1)[0] ?? 1}`),
        provisioningState: "Succeeded",
      },
    }),
  }),
  plain("Microsoft.Network/natGateways", {
    top: { sku: skuOf("Standard", "StandardV2"), zones: z.array(z.string()).optional() },
    properties: z.strictObject({
      idleTimeoutInMinutes: z.int().min(4).max(120).optional(),
      publicIpAddresses: z.array(reference).optional(),
      publicIpPrefixes: z.array(reference).optional(),
    }),
  }),
  plain("Microsoft.Network/networkInterfaces", {
    properties: z.strictObject({
      enableAcceleratedNetworking: z.boolean().optional(),
      enableIPForwarding: z.boolean().optional(),
      networkSecurityGroup: reference.optional(),
      ipConfigurations: z.array(
        z.strictObject({
          name: z.string(),
          properties: z.strictObject({
            primary: z.boolean().optional(),
            privateIPAllocationMethod: z.enum(["Dynamic", "Static"]).optional(),
            privateIPAddress: z.string().optional(),
            subnet: reference,
            publicIPAddress: reference.optional(),
          }),
        }),
      ),
    }),
    linked: ({ properties }) =>
      objectsAt(properties, "ipConfigurations").map((one) =>
        subnetJoin(objectAt(objectAt(one, "properties"), "subnet")),
      ),
  }),
  plain("Microsoft.Network/privateDnsZones", {
    apiVersions: ["2024-06-01", "2020-06-01", "2018-09-01"],
    name: zoneName,
    hasOptionalProperties: true,
    properties: z.strictObject({}),
  }),
  plain("Microsoft.Network/privateDnsZones/virtualNetworkLinks", {
    apiVersions: ["2024-06-01", "2020-06-01", "2018-09-01"],
    properties: z.strictObject({
      registrationEnabled: z.boolean(),
      virtualNetwork: reference,
      resolutionPolicy: z.string().optional(),
    }),
  }),
  plain("Microsoft.Network/privateEndpoints", {
    properties: z.strictObject({
      subnet: reference,
      customNetworkInterfaceName: z.string().optional(),
      privateLinkServiceConnections: z
        .array(
          z.strictObject({
            name: z.string(),
            properties: z.strictObject({
              privateLinkServiceId: armId,
              groupIds: z.array(z.string()),
              requestMessage: z.string().optional(),
            }),
          }),
        )
        .optional(),
    }),
    linked: ({ properties }) => [subnetJoin(objectAt(properties, "subnet"))],
  }),
  plain("Microsoft.Network/privateEndpoints/privateDnsZoneGroups", {
    isTracked: false,
    properties: z.strictObject({
      privateDnsZoneConfigs: z.array(
        z.strictObject({
          name: z.string(),
          properties: z.strictObject({ privateDnsZoneId: armId }),
        }),
      ),
    }),
  }),
];

/** A right on the subnet that a resource is put into. */
export function subnetJoin({ id }: Json): { readonly action: string; readonly scope: string } {
  return { action: "Microsoft.Network/virtualNetworks/subnets/join/action", scope: String(id) };
}

function withId({ id }: ResourceInput, part: string, member: Json): Json {
  const name = textAt(member, "name");
  return {
    id: `${id.id}/${part}/${name}`,
    ...member,
    type: `${id.type}/${part}`,
    properties: { ...objectAt(member, "properties"), provisioningState: "Succeeded" },
  };
}
