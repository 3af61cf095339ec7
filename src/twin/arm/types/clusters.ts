import { randomBytes } from "node:crypto";
import { z } from "zod";
import { toHex } from "../../../base/index.ts";
import { OIDC_ISSUERS, RESOURCES } from "../../state-kinds.ts";
import { createSigningKey } from "../../signing-key.ts";
import { overlaps } from "../addresses.ts";
import { badRequest } from "../refusal.ts";
import { groupIdOf } from "../resource-id.ts";
import { objectAt, objectsAt, textAt } from "../type-spec.ts";
import type { ArmContext, Completion, Json, ResourceInput, TypeSpec } from "../type-spec.ts";
import { subnetJoin } from "./network.ts";
import {
  armId,
  completeIdentity,
  guidSchema,
  identityLinks,
  identityShape,
  kept,
  newId,
  vmSize as size,
} from "./shapes.ts";

const AKS_VERSIONS = [
  "2026-05-01",
  "2026-06-01",
  "2026-02-01",
  "2025-10-01",
  "2025-05-01",
  "2024-09-01",
];
const POOL_NAME = /^[a-z][a-z0-9]{0,11}$/;

const poolShape = {
  mode: z.enum(["System", "User", "Gateway"]).optional(),
  count: z.int().min(0).max(1000).optional(),
  minCount: z.int().optional(),
  maxCount: z.int().optional(),
  enableAutoScaling: z.boolean().optional(),
  vmSize: size,
  type: z.enum(["VirtualMachineScaleSets", "AvailabilitySet", "VirtualMachines"]).optional(),
  osType: z.enum(["Linux", "Windows"]).optional(),
  osSKU: z.enum(["Ubuntu", "Ubuntu2204", "Ubuntu2404", "AzureLinux", "AzureLinux3"]).optional(),
  osDiskSizeGB: z.int().optional(),
  osDiskType: z.enum(["Managed", "Ephemeral"]).optional(),
  maxPods: z.int().min(10).max(250).optional(),
  vnetSubnetID: armId.optional(),
  enableNodePublicIP: z.boolean().optional(),
  nodeTaints: z.array(z.string()).optional(),
  nodeLabels: z.record(z.string(), z.string()).optional(),
  availabilityZones: z.array(z.string()).optional(),
  orchestratorVersion: z.string().optional(),
  upgradeSettings: z.strictObject({ maxSurge: z.string().optional() }).optional(),
};

/** Names of add-ons that AKS knows; Azure itself takes others, and ignores them. */
const addons = z.partialRecord(
  z.enum(["ACCSGXDevicePlugin", "azureKeyvaultSecretsProvider", "omsagent", "azurepolicy"]),
  z.strictObject({
    enabled: z.boolean(),
    config: z.record(z.string(), z.string()).nullable().optional(),
  }),
);

const clusters: TypeSpec = {
  type: "Microsoft.ContainerService/managedClusters",
  apiVersions: AKS_VERSIONS,
  name: /^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$/,
  isTracked: true,
  isSlow: true,
  top: {
    sku: z
      .strictObject({
        name: z.enum(["Base", "Automatic"]),
        tier: z.enum(["Free", "Standard", "Premium"]),
      })
      .optional(),
    identity: identityShape,
  },
  properties: z.strictObject({
    dnsPrefix: z.string().min(1).max(54),
    nodeResourceGroup: z.string().max(80).optional(),
    kubernetesVersion: z.string().optional(),
    disableLocalAccounts: z.boolean().optional(),
    enableRBAC: z.boolean().optional(),
    aadProfile: z
      .strictObject({
        managed: z.boolean().optional(),
        enableAzureRBAC: z.boolean().optional(),
        tenantID: guidSchema.optional(),
        adminGroupObjectIDs: z.array(guidSchema).optional(),
      })
      .optional(),
    oidcIssuerProfile: z.strictObject({ enabled: z.boolean() }).optional(),
    securityProfile: z
      .strictObject({
        workloadIdentity: z.strictObject({ enabled: z.boolean() }).optional(),
        imageCleaner: z
          .strictObject({ enabled: z.boolean(), intervalHours: z.int().optional() })
          .optional(),
      })
      .optional(),
    identityProfile: z
      .record(
        z.string(),
        z.strictObject({ resourceId: armId, clientId: guidSchema, objectId: guidSchema }),
      )
      .optional(),
    addonProfiles: addons.optional(),
    apiServerAccessProfile: z
      .strictObject({
        enablePrivateCluster: z.boolean().optional(),
        privateDNSZone: z.string().optional(),
        enablePrivateClusterPublicFQDN: z.boolean().optional(),
        disableRunCommand: z.boolean().optional(),
        authorizedIPRanges: z.array(z.string()).optional(),
      })
      .optional(),
    networkProfile: z
      .strictObject({
        networkPlugin: z.enum(["azure", "kubenet", "none"]).optional(),
        networkPluginMode: z.literal("overlay").optional(),
        networkDataplane: z.enum(["azure", "cilium"]).optional(),
        networkPolicy: z.enum(["azure", "calico", "cilium", "none"]).optional(),
        podCidr: z.string().optional(),
        serviceCidr: z.string().optional(),
        dnsServiceIP: z.string().optional(),
        loadBalancerSku: z.enum(["standard", "basic"]).optional(),
        outboundType: z
          .enum([
            "loadBalancer",
            "userDefinedRouting",
            "managedNATGateway",
            "userAssignedNATGateway",
            "none",
          ])
          .optional(),
      })
      .optional(),
    autoUpgradeProfile: z
      .strictObject({
        upgradeChannel: z.enum(["none", "patch", "stable", "rapid", "node-image"]).optional(),
        nodeOSUpgradeChannel: z
          .enum(["None", "Unmanaged", "SecurityPatch", "NodeImage"])
          .optional(),
      })
      .optional(),
    agentPoolProfiles: z
      .array(z.strictObject({ name: z.string().regex(POOL_NAME), ...poolShape }))
      .min(1),
  }),
  check: ({ properties }) => {
    const network = objectAt(properties, "networkProfile");
    if (overlaps(textAt(network, "podCidr"), textAt(network, "serviceCidr")))
      throw badRequest(
        "ServiceCidrOverlapPodCidr",
        `Specified service CIDR ${textAt(network, "serviceCidr")} is conflicted with the pod CIDR ${textAt(network, "podCidr")}.`,
      );
    const local = properties["disableLocalAccounts"] === true;
    if (local && objectAt(properties, "aadProfile")["managed"] !== true)
      throw badRequest(
        "BadRequest",
        "Disabling local accounts is only allowed for clusters with managed AAD.",
      );
  },
  linked: (input) => [
    ...identityLinks(input),
    ...objectsAt(input.properties, "agentPoolProfiles")
      .filter((pool) => pool["vnetSubnetID"] !== undefined)
      .map((pool) => subnetJoin({ id: pool["vnetSubnetID"] })),
  ],
  quota: (properties) =>
    objectsAt(properties, "agentPoolProfiles").map((pool) => ({
      size: textAt(pool, "vmSize"),
      count: Number(pool["count"] ?? 1),
    })),
  complete: completeCluster,
  onPut: (document, { state }) => {
    const { properties } = document;
    const group = groupIdOf(
      document.id.split("/")[2] ?? "",
      textAt(properties, "nodeResourceGroup"),
    );
    if (state.get(RESOURCES, group.toLowerCase()) !== null) return;
    state.put(RESOURCES, group.toLowerCase(), {
      id: group,
      name: textAt(properties, "nodeResourceGroup"),
      type: "Microsoft.Resources/resourceGroups",
      location: textAt(document, "location"),
      managedBy: document.id,
      properties: { provisioningState: "Succeeded" },
    });
  },
  onDelete: ({ id, properties }, { state }) => {
    const group = groupIdOf(id.split("/")[2] ?? "", textAt(properties, "nodeResourceGroup"));
    state.remove(RESOURCES, group.toLowerCase());
    state.remove(OIDC_ISSUERS, textAt(objectAt(properties, "oidcIssuerProfile"), "issuerURL"));
  },
  actions: {
    listclusterusercredential: (document) => credentialOf(document),
  },
};

async function completeCluster(input: ResourceInput, context: ArmContext): Promise<Completion> {
  const { id, properties, location, before } = input;
  const dnsPrefix = textAt(properties, "dnsPrefix");
  const fqdn = kept(
    input,
    "fqdn",
    () => `${dnsPrefix}-${toHex(randomBytes(4))}.hcp.${location}.azmk8s.io`,
  );
  const wantsIssuer = objectAt(properties, "oidcIssuerProfile")["enabled"] === true;
  const version = textAt(properties, "kubernetesVersion") || "1.34";
  return {
    top: {
      ...completeIdentity(input, context),
      sku: input.body["sku"] ?? { name: "Base", tier: "Free" },
    },
    properties: {
      enableRBAC: true,
      disableLocalAccounts: false,
      nodeResourceGroup: `MC_${id.resourceGroup ?? ""}_${id.name}_${location}`.slice(0, 80),
      ...properties,
      kubernetesVersion: version,
      currentKubernetesVersion: version,
      fqdn,
      azurePortalFQDN: fqdn,
      powerState: { code: "Running" },
      ...(wantsIssuer
        ? { oidcIssuerProfile: await issuerOf(before, { location, context }) }
        : { oidcIssuerProfile: { enabled: false } }),
      provisioningState: "Succeeded",
    },
  };
}

/** The issuer's URL and keys, which stay the same for the cluster's life. */
async function issuerOf(
  before: Json | null,
  { location, context }: { readonly location: string; readonly context: ArmContext },
): Promise<Json> {
  const known = textAt(
    objectAt(objectAt({ ...before }, "properties"), "oidcIssuerProfile"),
    "issuerURL",
  );
  const { state, tenantId } = context;
  const issuer =
    known === "" ? `https://${location}.oic.prod-aks.azure.com/${tenantId}/${newId()}/` : known;
  if (state.get(OIDC_ISSUERS, issuer) === null)
    state.put(OIDC_ISSUERS, issuer, { issuer, ...(await createSigningKey()) });
  return { enabled: true, issuerURL: issuer };
}

/** A kubeconfig that logs in by kubelogin, as `az aks get-credentials` gets it; no API server answers. */
function credentialOf({
  name,
  properties,
}: {
  readonly name: string;
  readonly properties: Json;
}): Json {
  const server = `https://${textAt(properties, "fqdn")}:443`;
  const args = "[get-token, --server-id, 6dae42f8-4368-4678-94ff-3960e28e3630, --login, azurecli]";
  const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- name: ${name}
  cluster:
    server: ${server}
contexts:
- name: ${name}
  context:
    cluster: ${name}
    user: clusterUser
current-context: ${name}
users:
- name: clusterUser
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: kubelogin
      args: ${args}
      provideClusterInfo: false
`;
  return {
    kubeconfigs: [{ name: "clusterUser", value: Buffer.from(kubeconfig).toString("base64") }],
  };
}

const agentPools: TypeSpec = {
  type: "Microsoft.ContainerService/managedClusters/agentPools",
  apiVersions: AKS_VERSIONS,
  name: POOL_NAME,
  isTracked: false,
  isSlow: true,
  properties: z.strictObject(poolShape),
  linked: ({ properties }) =>
    properties["vnetSubnetID"] === undefined
      ? []
      : [subnetJoin({ id: properties["vnetSubnetID"] })],
  quota: (properties) => [
    { size: textAt(properties, "vmSize"), count: Number(properties["count"] ?? 1) },
  ],
  complete: ({ properties }) => ({
    properties: {
      ...properties,
      powerState: { code: "Running" },
      provisioningState: "Succeeded",
    },
  }),
};

/** Clusters and their pools. */
export const CLUSTER_TYPES: readonly TypeSpec[] = [clusters, agentPools];
