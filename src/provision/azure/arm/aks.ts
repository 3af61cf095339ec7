import type { AzureSection } from "../config/azure-section.ts";
import { nodeSizeFor } from "../config/check-sizes.ts";
import type { AksConfig } from "../config/compute.ts";
import { NODE_TEE } from "../vm-sizes.ts";
import { controlGrants } from "./grants.ts";
import { assignmentIds } from "./role-assignments.ts";
import { type ArmObject, type ArmResource, resource } from "./resource.ts";
import {
  aksPlace,
  dependenciesOn,
  factOf,
  identityPlace,
  literalIdOf,
  logsPlace,
  nameFor,
  subnetId,
  vnetPlace,
} from "./site.ts";

/** The confidential pool's name. */
export const CONFIDENTIAL_POOL = "confidential";

/** Names of AKS's add-ons: ARM takes any, and ignores those that it does not know. */
export const AKS_ADDONS = {
  sgx: "ACCSGXDevicePlugin",
  secrets: "azureKeyvaultSecretsProvider",
  logs: "omsagent",
  policy: "azurepolicy",
} as const;

/**
 * The cluster and its confidential pool. No local accounts: only Entra ID, with Azure's RBAC.
 * @see learn.microsoft.com/azure/aks/use-cvm
 */
export function aksResources(section: AzureSection): readonly ArmResource[] {
  const place = aksPlace(section);
  const { aks } = section;
  if (aks === undefined || place?.isMade !== true) return [];
  return [cluster(section, aks), pool(section, aks)];
}

function cluster(section: AzureSection, aks: AksConfig): ArmResource {
  const { region, tags, tenant } = section;
  const control = identityPlace(section, "aks-control");
  const nodes = identityPlace(section, "aks-nodes");
  return resource("Microsoft.ContainerService/managedClusters", {
    name: nameFor(section, "aks"),
    location: region,
    tags,
    sku: { name: "Base", tier: TIERS[aks.tier] },
    identity: {
      type: "UserAssigned",
      userAssignedIdentities: { [literalIdOf(section, control)]: {} },
    },
    dependsOn: [
      ...dependenciesOn(control, nodes, vnetPlace(section), logsPlace(section)),
      ...assignmentIds(section, controlGrants(section)),
    ],
    properties: {
      dnsPrefix: nameFor(section, "aks"),
      nodeResourceGroup: `${section.resourceGroup.slice(0, 60)}-${section.prefix}-nodes`,
      ...(aks.kubernetesVersion === undefined ? {} : { kubernetesVersion: aks.kubernetesVersion }),
      disableLocalAccounts: true,
      enableRBAC: true,
      aadProfile: { managed: true, enableAzureRBAC: true, tenantID: tenant },
      oidcIssuerProfile: { enabled: true },
      securityProfile: {
        workloadIdentity: { enabled: true },
        imageCleaner: { enabled: true, intervalHours: 168 },
      },
      identityProfile: { kubeletidentity: kubeletIdentity(section) },
      addonProfiles: addons(section, aks),
      apiServerAccessProfile: apiServer(aks),
      networkProfile: {
        networkPlugin: "azure",
        networkPluginMode: "overlay",
        networkDataplane: "cilium",
        networkPolicy: "cilium",
        podCidr: aks.podCidr,
        serviceCidr: aks.serviceCidr,
        dnsServiceIP: aks.dnsServiceIp,
        loadBalancerSku: "standard",
        outboundType: OUTBOUND[aks.outbound],
      },
      autoUpgradeProfile: { upgradeChannel: "patch", nodeOSUpgradeChannel: "NodeImage" },
      agentPoolProfiles: [
        {
          name: "system",
          mode: "System",
          count: aks.systemNodeCount,
          vmSize: aks.systemVmSize,
          nodeTaints: ["CriticalAddonsOnly=true:NoSchedule"],
          ...poolBasics(section),
        },
      ],
    },
  });
}

const OUTBOUND = {
  natGateway: "userAssignedNATGateway",
  routeTable: "userDefinedRouting",
  loadBalancer: "loadBalancer",
} as const;

const TIERS = { free: "Free", standard: "Standard", premium: "Premium" } as const;

/** Azure fills these in for the one who logs in; ARM wants them spelled out. */
function kubeletIdentity(section: AzureSection): ArmObject {
  const nodes = identityPlace(section, "aks-nodes");
  return {
    resourceId: nodes.id,
    clientId: factOf(nodes, "clientId"),
    objectId: factOf(nodes, "principalId"),
  };
}

function addons(section: AzureSection, aks: AksConfig): ArmObject {
  const logs = logsPlace(section);
  const withSgx = aks.sgxAddon ?? section.profile === "sgx";
  return {
    [AKS_ADDONS.policy]: { enabled: true },
    [AKS_ADDONS.secrets]: {
      enabled: true,
      config: { enableSecretRotation: "true", rotationPollInterval: "2m" },
    },
    ...(withSgx
      ? { [AKS_ADDONS.sgx]: { enabled: true, config: { ACCSGXQuoteHelperEnabled: "true" } } }
      : {}),
    ...(logs === null
      ? {}
      : {
          [AKS_ADDONS.logs]: {
            enabled: true,
            config: { logAnalyticsWorkspaceResourceID: logs.id, useAADAuth: "true" },
          },
        }),
  };
}

function apiServer(aks: AksConfig): ArmObject {
  if (aks.private)
    return {
      enablePrivateCluster: true,
      privateDNSZone: "system",
      enablePrivateClusterPublicFQDN: false,
      disableRunCommand: true,
    };
  return {
    enablePrivateCluster: false,
    disableRunCommand: true,
    ...(aks.authorizedIpRanges.length === 0 ? {} : { authorizedIPRanges: aks.authorizedIpRanges }),
  };
}

function poolBasics(section: AzureSection): ArmObject {
  return {
    type: "VirtualMachineScaleSets",
    osType: "Linux",
    osSKU: "Ubuntu",
    maxPods: 110,
    vnetSubnetID: subnetId(section, "aks"),
    enableNodePublicIP: false,
    upgradeSettings: { maxSurge: "10%" },
  };
}

/** A pool of its own resource: it is resized and replaced without touching the cluster. */
function pool(section: AzureSection, aks: AksConfig): ArmResource {
  const place = aksPlace(section);
  const tee = NODE_TEE[section.profile];
  return resource("Microsoft.ContainerService/managedClusters/agentPools", {
    name: `${nameFor(section, "aks")}/${CONFIDENTIAL_POOL}`,
    dependsOn: dependenciesOn(place),
    properties: {
      mode: "User",
      count: aks.nodeCount,
      vmSize: nodeSizeFor(section),
      nodeLabels: { "ppml.dev/tee": tee === "snp" ? "snp-node" : "sgx" },
      ...poolBasics(section),
    },
  });
}
