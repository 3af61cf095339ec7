import type { WhatIfProperty } from "./arm-port.ts";
import { typeOfId } from "./resource-ids.ts";

/** A change that what-if tells and that is none; each kind with its reason. */
export type NoiseRule = {
  readonly name: string;
  readonly why: string;
  readonly matches: (change: NoiseInput) => boolean;
};

/** A change of one property, and the type of its resource. */
export type NoiseInput = { readonly type: string; readonly change: WhatIfProperty };

/** Members that Azure fills in itself, or never gives back, by the type of their resource. */
const FILLED_BY_AZURE: readonly (readonly [type: RegExp, path: RegExp])[] = [
  [/^microsoft\.compute\/virtualmachines$/, /^properties\.osProfile\.customData$/],
  [
    /^microsoft\.compute\/virtualmachines$/,
    /^properties\.(?:osProfile\.(?:requireGuestProvisionSignal|secrets)|storageProfile\.(?:dataDisks|diskControllerType|osDisk\.(?:osType|diskSizeGB|managedDisk\.id))|additionalCapabilities)$/,
  ],
  [
    /^microsoft\.containerservice\/managedclusters$/,
    /^properties\.(?:kubernetesVersion|maxAgentPools|currentKubernetesVersion|windowsProfile|servicePrincipalProfile|supportPlan|metricsProfile|nodeProvisioningProfile|bootstrapProfile|storageProfile|workloadAutoScalerProfile|networkProfile\.(?:ipFamilies|podCidrs|serviceCidrs|loadBalancerProfile|natGatewayProfile)|addonProfiles\.\w+\.identity)(?:\.|$)/,
  ],
  [
    /^microsoft\.containerservice\/managedclusters(?:\/agentpools)?$/,
    /^properties\.(?:agentPoolProfiles\.\d+\.)?(?:orchestratorVersion|currentOrchestratorVersion|nodeImageVersion|powerState|osDiskSizeGB|osDiskType|kubeletDiskType|scaleDownMode|workloadRuntime|enableFIPS|enableEncryptionAtHost|enableUltraSSD|enableAutoScaling|securityProfile|spotMaxPrice)(?:\.|$)/,
  ],
  [/^microsoft\.keyvault\/vaults$/, /^properties\.(?:vaultUri|createMode|accessPolicies)$/],
  // Not `regions` and `networkAcls.serviceTags`: who adds one opens the HSM further.
  [
    /^microsoft\.keyvault\/managedhsms$/,
    /^properties\.(?:hsmUri|createMode|statusMessage|provisioningState|scheduledPurgeDate|securityDomainProperties(?:\.\w+)?|privateEndpointConnections)$/,
  ],
  [
    /^microsoft\.keyvault\/(?:vaults|managedhsms)\/keys$/,
    /^properties\.(?:keyUri|keyUriWithVersion|rotationPolicy|attributes\.(?:created|updated|recoveryLevel))$/,
  ],
  [
    /^microsoft\.storage\/storageaccounts$/,
    /^properties\.(?:encryption\.services\.(?:file|table|queue)|networkAcls\.(?:ipv6Rules|resourceAccessRules)|dnsEndpointType|largeFileSharesState|creationTime|primaryEndpoints)(?:\.|$)/,
  ],
  [
    /^microsoft\.storage\/storageaccounts\/blobservices/,
    /^properties\.(?:cors|defaultEncryptionScope|denyEncryptionScopeOverride)(?:\.|$)/,
  ],
  [
    /^microsoft\.network\/virtualnetworks$/,
    /^properties\.(?:subnets\.\d+\.(?:id|etag|properties\.(?:delegations|privateLinkServiceNetworkPolicies|privateEndpointNetworkPolicies))|enableDdosProtection|privateEndpointVNetPolicies|virtualNetworkPeerings)(?:\.|$)/,
  ],
  [
    /^microsoft\.network\//,
    /^properties\.(?:resourceGuid|ipConfigurations\.\d+\.(?:id|properties\.(?:privateIPAddress|privateIPAddressVersion))|customDnsConfigs|dnsSettings|enableIPForwarding|disableTcpStateTracking|nicType|auxiliaryMode|auxiliarySku|idleTimeoutInMinutes|ipTags|ipAddress|defaultSecurityRules)(?:\.|$)/,
  ],
  [
    /^microsoft\.operationalinsights\/workspaces$/,
    /^properties\.(?:workspaceCapping|publicNetworkAccessForIngestion|publicNetworkAccessForQuery|features\.\w+)(?:\.|$)/,
  ],
  [
    /^microsoft\.containerregistry\/registries$/,
    /^properties\.(?:policies|encryption|dataEndpointEnabled|networkRuleSet|networkRuleBypassOptions|zoneRedundancy|roleAssignmentMode|metadataSearch)(?:\.|$)/,
  ],
];

/** Every rule: a change that one of them matches is left out of plans. */
export const NOISE_RULES: readonly NoiseRule[] = [
  {
    name: "no-effect",
    why: "What-if itself says that the change has no effect: a read-only member.",
    matches: ({ change }) => change.propertyChangeType === "NoEffect",
  },
  {
    name: "filled-by-azure",
    why: "Azure fills the member in, or never gives it back; the template does not have it, or has what Azure keeps to itself.",
    matches: ({ type, change }) =>
      (change.propertyChangeType === "Delete" || change.path.endsWith("customData")) &&
      FILLED_BY_AZURE.some(([of, path]) => of.test(type.toLowerCase()) && path.test(change.path)),
  },
  {
    name: "unevaluated-reference",
    why: "What-if does not work out reference(): it shows the expression against the value that it will have.",
    matches: ({ change }) =>
      typeof change.after === "string" &&
      change.after.startsWith("[reference(") &&
      change.propertyChangeType === "Modify",
  },
  {
    name: "letter-case",
    why: "Ids, regions and enumerations are the same in any letter case, and services give them back in another.",
    matches: ({ change }) =>
      typeof change.before === "string" &&
      typeof change.after === "string" &&
      canonicalText(change.before) === canonicalText(change.after),
  },
  {
    name: "order-of-a-set",
    why: "Services give lists back in another order; of these lists the order means nothing.",
    matches: ({ change }) =>
      isUnordered(change.path) &&
      Array.isArray(change.before) &&
      Array.isArray(change.after) &&
      canonicalSet(change.before) === canonicalSet(change.after),
  },
  {
    name: "etag",
    why: "etag and systemData are of the service's own book-keeping.",
    matches: ({ change }) => /(?:^|\.)(?:etag|systemData)(?:\.|$)/.test(change.path),
  },
];

/** The changes of one resource that are real, flat, each with its whole path. Pure. */
export function realChanges(
  resourceId: string,
  delta: readonly WhatIfProperty[],
): readonly WhatIfProperty[] {
  const type = typeOfId(resourceId);
  return flatten(delta, "").filter(
    (change) => !NOISE_RULES.some(({ matches }) => matches({ type, change })),
  );
}

/** A change with children stands for them; their paths are relative to it. */
function flatten(delta: readonly WhatIfProperty[], above: string): readonly WhatIfProperty[] {
  return delta.flatMap((change) => {
    const path = above === "" ? change.path : `${above}.${change.path}`;
    const { children = [] } = change;
    if (children.length > 0) return flatten(children, path);
    const { propertyChangeType, before, after } = change;
    return [{ path, propertyChangeType, before, after }];
  });
}

/** `East US 2` and `eastus2` are one region. */
function canonicalText(text: string): string {
  const lower = text.toLowerCase();
  return /^[a-z0-9 ]{3,40}$/.test(lower) ? lower.replaceAll(" ", "") : lower;
}

const UNORDERED =
  /(?:keyOps|audiences|ipRules|virtualNetworkRules|authorizedIPRanges|addressPrefixes|serviceEndpoints|groupIds|nodeTaints|sourceAddressPrefixes)$/;

function isUnordered(path: string): boolean {
  return UNORDERED.test(path);
}

function canonicalSet(list: readonly unknown[]): string {
  return JSON.stringify(list.map((one) => JSON.stringify(one)).sort());
}
