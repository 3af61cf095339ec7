import { z } from "zod";
import { aksSchema, vmSchema } from "./compute.ts";
import { networkSchema } from "./network.ts";
import { guidSchema, prefixSchema, regionSchema, resourceGroupSchema } from "./patterns.ts";
import {
  attestationSchema,
  identitySchema,
  keyVaultSchema,
  logAnalyticsSchema,
  operatorSchema,
  registrySchema,
  storageSchema,
} from "./services.ts";

const MAX_TAGS = 40;

const tagsSchema = z
  .record(
    z.string().regex(/^[^<>%&\\?/]{1,128}$/, "expected at most 128 characters, none of <>%&\\?/"),
    z.string().max(256).describe("The tag's value, at most 256 characters."),
  )
  .refine((tags) => Object.keys(tags).length <= MAX_TAGS, {
    error: `expected at most ${MAX_TAGS} tags`,
  });

/** The section `azure` of ppml.yaml: what is made in Azure. What is left out is not made. */
export const azureSectionSchema = z.strictObject({
  subscription: guidSchema.describe("The subscription's id."),
  tenant: guidSchema.describe("The Entra ID tenant's id."),
  region: regionSchema.describe("Where all is made, such as eastus2."),
  resourceGroup: resourceGroupSchema.describe("The group; made where it is not there."),
  prefix: prefixSchema
    .default("ppml")
    .describe("Beginning of the names of network, VM, cluster and identities."),
  profile: z
    .enum(["snp", "tdx", "sgx"])
    .default("snp")
    .describe("TEE of the VM and the nodes. On AKS, tdx gets snp nodes: AKS has no TDX."),
  transport: z
    .enum(["direct", "environment"])
    .default("direct")
    .describe(
      "direct: the platform's own certificate roots and no proxy. environment: HTTPS_PROXY and NODE_EXTRA_CA_CERTS count.",
    ),
  tags: tagsSchema.default({}).describe("Tags of every resource."),
  operators: z
    .array(operatorSchema)
    .max(20)
    .default([])
    .describe("Who may manage keys, secrets and data, and the cluster."),
  network: networkSchema.prefault({}).describe("The virtual network."),
  vm: vmSchema.optional().describe("Client VMs in a TEE."),
  aks: aksSchema.optional().describe("A Kubernetes cluster with a confidential pool."),
  storage: storageSchema.optional().describe("Azure Data Lake Storage Gen2."),
  keyVault: keyVaultSchema.optional().describe("Key Vault or Managed HSM."),
  attestation: attestationSchema.optional().describe("A provider of Azure Attestation."),
  registry: registrySchema.optional().describe("A container registry."),
  logAnalytics: logAnalyticsSchema
    .optional()
    .describe("Where the audit logs of vault, storage and cluster go."),
  identities: z
    .record(
      z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, "expected a name: letters, digits, '-'"),
      identitySchema,
    )
    .default({})
    .describe("Managed identities, by name, and the service accounts that use them."),
});
export type AzureSection = z.infer<typeof azureSectionSchema>;
