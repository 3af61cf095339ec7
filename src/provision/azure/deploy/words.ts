import { assignmentFacts } from "../arm/role-assignments.ts";
import type { AzureSection } from "../config/azure-section.ts";
import { nameOfId, typeOfId } from "./resource-ids.ts";

/** What a resource is, where its own name says nothing to people. */
export type ResourceWords = {
  readonly words: string;
  /** Of a role assignment of the template: the role's name, and who has it. */
  readonly role?: string;
  readonly principal?: string;
};

/** Nouns of the types that roles and diagnostic settings are on. */
const NOUNS: Readonly<Record<string, string>> = {
  "microsoft.attestation/attestationproviders": "attestation provider",
  "microsoft.containerregistry/registries": "registry",
  "microsoft.containerservice/managedclusters": "cluster",
  "microsoft.containerservice/managedclusters/namespaces": "namespace",
  "microsoft.keyvault/managedhsms": "Managed HSM",
  "microsoft.keyvault/managedhsms/keys": "key",
  "microsoft.keyvault/vaults": "vault",
  "microsoft.keyvault/vaults/keys": "key",
  "microsoft.keyvault/vaults/secrets": "secret",
  "microsoft.managedidentity/userassignedidentities": "identity",
  "microsoft.network/virtualnetworks": "network",
  "microsoft.network/virtualnetworks/subnets": "subnet",
  "microsoft.storage/storageaccounts": "storage account",
  "microsoft.storage/storageaccounts/blobservices": "the blobs of",
  "microsoft.storage/storageaccounts/blobservices/containers": "filesystem",
};

/**
 * Role assignments and diagnostic settings in words, by their ids: "Network Contributor for
 * ppml-aks-control on subnet ppml-vnet/aks". Null for every other resource: its name says it.
 */
export function resourceWords(section: AzureSection): (id: string) => ResourceWords | null {
  const facts = new Map(assignmentFacts(section).map((one) => [one.id.toLowerCase(), one]));
  return (id) => {
    const scope = placeInWords(id.slice(0, Math.max(0, id.lastIndexOf("/providers/"))));
    switch (typeOfId(id).toLowerCase()) {
      case "microsoft.insights/diagnosticsettings":
        return { words: `${nameOfId(id)}, of ${scope}` };
      case "microsoft.authorization/roleassignments": {
        const known = facts.get(id.toLowerCase());
        // One that the project no longer has: the template says nothing of it.
        if (known === undefined) return { words: `${nameOfId(id)}, on ${scope}` };
        const { role, principal } = known;
        return { words: `${role} for ${principal} on ${scope}`, role, principal };
      }
      default:
        return null;
    }
  };
}

/** A resource as people name it: `subnet ppml-vnet/aks`; a group or a subscription by its id's end. */
function placeInWords(id: string): string {
  if (!id.includes("/providers/")) return id.split("/").slice(-2).join(" ");
  const type = typeOfId(id);
  // The service of an account is always called "default", and tells nothing.
  const name = nameOfId(id).replace(/^([^/]+)\/default(?=\/|$)/, "$1");
  return `${NOUNS[type.toLowerCase()] ?? type} ${name}`;
}
