import { neededSubnets } from "../config/check-network.ts";
import type { AzureSection } from "../config/azure-section.ts";
import { idOf, referenceById, referenceOf } from "./expressions.ts";
import type { ArmType } from "./resource.ts";

/** What the template is made from: the section, and what only files have. */
export type TemplateInput = {
  readonly section: AzureSection;
  /** The OpenSSH public key of `vm.sshPublicKeyFile`, one line; null where there is no VM. */
  readonly sshPublicKey: string | null;
  /** For each exportable KEK the release policy in Azure's grammar. */
  readonly releasePolicies: Readonly<Record<string, unknown>>;
};

/** A resource that the template makes, or that is there already. */
export type Place = {
  readonly type: ArmType;
  readonly name: string;
  /** An expression for one of the deployment's own group, otherwise a literal id. */
  readonly id: string;
  /** Whether this template makes it. */
  readonly isMade: boolean;
  /** Where it is: null for the deployment's own group. */
  readonly group: { readonly subscription: string; readonly name: string } | null;
};

/** What a resource is called that takes its name from the prefix. */
export function nameFor(section: AzureSection, what: string): string {
  return `${section.prefix}-${what}`;
}

/** Where a resource is: `existing` is its id or its name in the same group, `name` that of a new one. */
export function placeOf(
  section: AzureSection,
  type: ArmType,
  options: { readonly existing: string | undefined; readonly name: string | undefined },
): Place {
  const { existing, name = "" } = options;
  if (existing === undefined)
    return { type, name, id: idOf(type, ...name.split("/")), isMade: true, group: null };
  const parts = existing.split("/");
  if (!existing.startsWith("/"))
    return { type, name: existing, id: idOf(type, existing), isMade: false, group: null };
  const subscription = (parts[2] ?? "").toLowerCase();
  const groupName = parts[4] ?? "";
  const own =
    subscription === section.subscription &&
    groupName.toLowerCase() === section.resourceGroup.toLowerCase();
  const last = parts.at(-1) ?? "";
  if (own) return { type, name: last, id: idOf(type, last), isMade: false, group: null };
  return {
    type,
    name: last,
    id: existing,
    isMade: false,
    group: { subscription, name: groupName },
  };
}

/** The id of a place without any expression: for the names of members. */
export function literalIdOf({ subscription, resourceGroup }: AzureSection, place: Place): string {
  if (place.group !== null) return place.id;
  const [space = "", ...types] = place.type.split("/");
  const names = place.name.split("/");
  const path = types.map((type, index) => `${type}/${names[index] ?? ""}`).join("/");
  return `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers/${space}/${path}`;
}

/** What is known of a place once it is there, as an expression. */
export function factOf(place: Place, path: string): string {
  return place.group === null
    ? referenceOf(place.type, place.name, path)
    : referenceById(place.type, place.id, path);
}

/** The places that dependencies name: those that the template makes. */
export function dependenciesOn(...places: readonly (Place | null)[]): readonly string[] {
  return places.flatMap((place) => (place?.isMade === true ? [place.id] : []));
}

/** The virtual network; null where nothing lies in one. */
export function vnetPlace(section: AzureSection): Place | null {
  if (neededSubnets(section).length === 0) return null;
  return placeOf(section, "Microsoft.Network/virtualNetworks", {
    existing: section.network.existing,
    name: nameFor(section, "vnet"),
  });
}

/** The id of one of the network's subnets. */
export function subnetId(section: AzureSection, subnet: "vm" | "endpoints" | "aks"): string {
  const vnet = vnetPlace(section);
  const name = section.network.subnetNames[subnet];
  if (vnet === null) return "";
  if (vnet.group !== null) return `${vnet.id}/subnets/${name}`;
  return `[resourceId('Microsoft.Network/virtualNetworks/subnets', '${vnet.name}', '${name}')]`;
}

/** The vault; null where there is none. */
export function vaultPlace(section: AzureSection): Place | null {
  const { keyVault } = section;
  if (keyVault === undefined) return null;
  const type =
    keyVault.sku === "managedHsm" ? "Microsoft.KeyVault/managedHSMs" : "Microsoft.KeyVault/vaults";
  return placeOf(section, type, keyVaultNames(keyVault));
}

function keyVaultNames({ existing, name }: NonNullable<AzureSection["keyVault"]>) {
  return { existing, name };
}

/** The storage account; null where there is none. */
export function storagePlace(section: AzureSection): Place | null {
  const { storage } = section;
  if (storage === undefined) return null;
  return placeOf(section, "Microsoft.Storage/storageAccounts", {
    existing: storage.existing,
    name: storage.account,
  });
}

/** The cluster; null where there is none. */
export function aksPlace(section: AzureSection): Place | null {
  if (section.aks === undefined) return null;
  return placeOf(section, "Microsoft.ContainerService/managedClusters", {
    existing: section.aks.existing,
    name: nameFor(section, "aks"),
  });
}

/** The cluster's id, made by us or not; null where there is none. */
export function aksId(section: AzureSection): string | null {
  const place = aksPlace(section);
  return place === null ? null : literalIdOf(section, place);
}

/** The registry; null where there is none. */
export function registryPlace(section: AzureSection): Place | null {
  if (section.registry === undefined) return null;
  return placeOf(section, "Microsoft.ContainerRegistry/registries", {
    existing: section.registry.existing,
    name: section.registry.name,
  });
}

/** The attestation provider; null where there is none. */
export function attestationPlace(section: AzureSection): Place | null {
  if (section.attestation === undefined) return null;
  return placeOf(section, "Microsoft.Attestation/attestationProviders", {
    existing: section.attestation.existing,
    name: section.attestation.name,
  });
}

/** The workspace for logs; null where there is none. */
export function logsPlace(section: AzureSection): Place | null {
  if (section.logAnalytics === undefined) return null;
  return placeOf(section, "Microsoft.OperationalInsights/workspaces", {
    existing: section.logAnalytics.existing,
    name: nameFor(section, "logs"),
  });
}

/** The user-assigned identity of that name in `azure.identities`, or one of the template's own. */
export function identityPlace(section: AzureSection, name: string): Place {
  const existing = Object.hasOwn(section.identities, name)
    ? section.identities[name]?.existing
    : undefined;
  return placeOf(section, "Microsoft.ManagedIdentity/userAssignedIdentities", {
    existing,
    name: nameFor(section, name),
  });
}
