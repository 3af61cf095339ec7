import { z } from "zod";
import { cidrSchema, existingSchema, groupIdSchema, resourceIdSchema } from "./patterns.ts";

const subnetName = z
  .string()
  .regex(
    /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$/,
    "expected a subnet's name: letters, digits, '_', '.', '-', at most 80",
  );

const hubSchema = z.strictObject({
  vnet: resourceIdSchema("Microsoft.Network/virtualNetworks").describe("The hub's id."),
  cidrs: z
    .array(cidrSchema)
    .min(1)
    .max(50)
    .describe("Address ranges of the hub and behind it: they may not overlap with ours."),
});

/** The section `azure.network`. */
export const networkSchema = z.strictObject({
  existing: existingSchema(["Microsoft.Network/virtualNetworks"], subnetName),
  cidr: cidrSchema.default("10.1.0.0/16").describe("Address range of the virtual network."),
  subnets: z
    .strictObject({
      vm: cidrSchema.default("10.1.0.0/24").describe("For the client VM."),
      endpoints: cidrSchema.default("10.1.1.0/24").describe("For private endpoints."),
      aks: cidrSchema.default("10.1.4.0/22").describe("For the cluster's nodes."),
    })
    .prefault({})
    .describe("Address ranges inside it."),
  subnetNames: z
    .strictObject({
      vm: subnetName.default("vm").describe("Subnet of the client VM."),
      endpoints: subnetName.default("endpoints").describe("Subnet of private endpoints."),
      aks: subnetName.default("aks").describe("Subnet of the nodes."),
    })
    .prefault({})
    .describe("Names of the subnets; with existing, of those that are there."),
  hub: hubSchema.optional().describe("A hub network to peer with."),
  privateEndpoints: z
    .boolean()
    .default(false)
    .describe("Reach storage, vault, attestation and registry by private endpoints only."),
  privateDnsZones: groupIdSchema
    .optional()
    .describe("Id of the resource group that has the private DNS zones already, as in a hub."),
  allowedIpRanges: z
    .array(cidrSchema)
    .max(100)
    .default([])
    .describe(
      "Public ranges from which storage and vault may be reached, besides the subnets; empty: all, by login.",
    ),
});
export type NetworkConfig = z.infer<typeof networkSchema>;
