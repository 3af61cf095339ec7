import type { AzureSection } from "../config/azure-section.ts";
import type { OwnIdentity } from "../config/own-identities.ts";
import { aksPlace, dependenciesOn, factOf, identityPlace } from "./site.ts";
import { type ArmResource, resource } from "./resource.ts";

/** The audience of Entra ID's token exchange, which AKS's webhook asks for. */
const AUDIENCE = "api://AzureADTokenExchange";

/** Which of the template's own identities a section needs. */
export function ownIdentities({ aks, vm }: AzureSection): readonly OwnIdentity[] {
  const hasOwnAks = aks !== undefined && aks.existing === undefined;
  return [
    ...(hasOwnAks ? (["aks-control", "aks-nodes"] as const) : []),
    ...(vm !== undefined && vm.count > 0 ? (["vm"] as const) : []),
  ];
}

/**
 * User-assigned identities, and for those of `azure.identities` the federated credential by which the
 * cluster's service account becomes them: no secret exists.
 * @see learn.microsoft.com/azure/aks/workload-identity-overview
 */
export function identityResources(section: AzureSection): readonly ArmResource[] {
  const { region, tags } = section;
  const made = [...ownIdentities(section), ...Object.keys(section.identities)]
    .map((name) => identityPlace(section, name))
    .filter(({ isMade }) => isMade)
    .map(({ type, name }) => resource(type, { name, location: region, tags, properties: {} }));
  return [...made, ...federatedCredentials(section)];
}

function federatedCredentials(section: AzureSection): readonly ArmResource[] {
  const aks = aksPlace(section);
  if (aks === null) return [];
  return Object.entries(section.identities).flatMap(([name, { namespace, serviceAccount }]) => {
    const identity = identityPlace(section, name);
    // One in another group is its owner's to federate.
    if (identity.group !== null) return [];
    return resource(
      "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
      {
        name: `${identity.name}/${aks.name}-${serviceAccount}`,
        dependsOn: dependenciesOn(identity, aks),
        properties: {
          issuer: factOf(aks, "oidcIssuerProfile.issuerURL"),
          subject: `system:serviceaccount:${namespace}:${serviceAccount}`,
          audiences: [AUDIENCE],
        },
      },
    );
  });
}
