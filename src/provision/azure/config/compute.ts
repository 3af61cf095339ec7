import { z } from "zod";
import { cidrSchema, clusterNameSchema, existingSchema, ipv4Schema } from "./patterns.ts";

const vmSizeSchema = z
  .string()
  .regex(/^Standard_[A-Za-z0-9_]{2,60}$/, "expected a VM size such as Standard_DC8as_v6");

const filePathSchema = z
  .string()
  .min(1)
  .max(4096)
  // oxlint-disable-next-line no-control-regex
  .regex(/^[^\u0000-\u001f\u007f]*$/, "expected a path without control characters");

const imageSchema = z.strictObject({
  publisher: z.string().min(1).max(128).describe("Such as Canonical."),
  offer: z.string().min(1).max(128).describe("Such as ubuntu-24_04-lts."),
  sku: z.string().min(1).max(128).describe("Such as cvm, which confidential VMs need."),
  version: z.string().min(1).max(64).default("latest").describe("The image's version."),
});

/** The section `azure.vm`. */
export const vmSchema = z.strictObject({
  count: z.int().min(0).max(10).default(1).describe("How many client VMs; 0 for none."),
  size: vmSizeSchema
    .optional()
    .describe("A DC or EC size with more than 4 vCPUs; otherwise the profile's own."),
  adminUser: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]{0,31}$/, "expected a Linux user's name")
    .refine((name) => !["root", "admin", "administrator", "guest", "test"].includes(name), {
      error: "Azure does not allow this user's name: choose another",
    })
    .default("azureuser")
    .describe("The user who logs in by SSH."),
  sshPublicKeyFile: filePathSchema.describe("File of the OpenSSH public key that may log in."),
  image: imageSchema.optional().describe("Another image than Ubuntu 24.04's for the profile."),
  diskEncryption: z
    .enum(["disk", "guest-state"])
    .default("disk")
    .describe("What is encrypted under the VM's own keys: the whole OS disk, or its state only."),
  sshFrom: z
    .array(cidrSchema)
    .max(20)
    .default([])
    .describe("Networks that reach port 22 on a public address; empty: no public address."),
});
export type VmConfig = z.infer<typeof vmSchema>;

/** The section `azure.aks`. */
export const aksSchema = z.strictObject({
  existing: existingSchema(["Microsoft.ContainerService/managedClusters"], clusterNameSchema),
  nodeCount: z.int().min(1).max(1000).default(3).describe("Nodes of the confidential pool."),
  vmSize: vmSizeSchema.optional().describe("Their size; otherwise the profile's own."),
  systemNodeCount: z.int().min(1).max(100).default(2).describe("Nodes of the system pool."),
  systemVmSize: vmSizeSchema.default("Standard_D4ds_v5").describe("Their size."),
  serviceCidr: cidrSchema.default("10.0.0.0/16").describe("Addresses of services."),
  dnsServiceIp: ipv4Schema.default("10.0.0.10").describe("Address of the cluster's DNS."),
  podCidr: cidrSchema.default("10.244.0.0/16").describe("Addresses of pods (CNI overlay)."),
  private: z.boolean().default(false).describe("The API server has a private address only."),
  authorizedIpRanges: z
    .array(cidrSchema)
    .max(200)
    .default([])
    .describe("Networks that may reach a public API server; empty: all, by login."),
  outbound: z
    .enum(["natGateway", "routeTable", "loadBalancer"])
    .default("natGateway")
    .describe(
      "The nodes' way out. An existing network has to bring its own NAT gateway or route table.",
    ),
  sgxAddon: z
    .boolean()
    .optional()
    .describe("The SGX device plugin and quote helper; otherwise with profile sgx only."),
  kubernetesVersion: z
    .string()
    .regex(/^1\.\d{2}(?:\.\d{1,2})?$/, "expected a version such as 1.34")
    .optional()
    .describe("Otherwise the region's default."),
  tier: z
    .enum(["free", "standard", "premium"])
    .default("standard")
    .describe("free has no guarantee of availability."),
});
export type AksConfig = z.infer<typeof aksSchema>;
