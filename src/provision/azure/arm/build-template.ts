import { aksResources } from "./aks.ts";
import { diagnosticResources } from "./diagnostics.ts";
import { identityResources } from "./identities.ts";
import { vaultResources } from "./key-vault.ts";
import { networkResources } from "./network.ts";
import { privateEndpointResources } from "./private-endpoints.ts";
import { type ArmResource, type ArmTemplate, TEMPLATE_SCHEMA } from "./resource.ts";
import { roleAssignments } from "./role-assignments.ts";
import { serviceResources } from "./services.ts";
import {
  aksPlace,
  attestationPlace,
  factOf,
  identityPlace,
  storagePlace,
  type TemplateInput,
  vaultPlace,
} from "./site.ts";
import { storageResources } from "./storage.ts";
import { vmResources } from "./vm.ts";

/**
 * The one template of a section, for a deployment into its resource group. Pure: the same input
 * gives the same bytes. Only `resourceId()` and `reference()` are left for Azure to work out.
 * @see docs/decisions/0010-one-template-in-the-resource-group.md
 */
export function buildTemplate(input: TemplateInput): ArmTemplate {
  const { section, sshPublicKey, releasePolicies } = input;
  const resources: readonly ArmResource[] = [
    ...networkResources(section),
    ...identityResources(section),
    ...serviceResources(section),
    ...storageResources(section),
    ...vaultResources(section, releasePolicies),
    ...aksResources(section),
    ...vmResources(section, sshPublicKey),
    ...privateEndpointResources(section),
    ...diagnosticResources(section),
    ...roleAssignments(section),
  ];
  return {
    $schema: TEMPLATE_SCHEMA,
    contentVersion: "1.0.0.0",
    resources,
    outputs: outputsOf(input),
  };
}

/** What the steps after the deployment, and people, need to know; nothing of it is secret. */
function outputsOf({ section }: TemplateInput): ArmTemplate["outputs"] {
  const vault = vaultPlace(section);
  const storage = storagePlace(section);
  const attestation = attestationPlace(section);
  const aks = aksPlace(section);
  const vaultUri = vault?.type === "Microsoft.KeyVault/managedHSMs" ? "hsmUri" : "vaultUri";
  const values: readonly (readonly [string, string])[] = [
    ...(vault === null ? [] : [["vaultUri", factOf(vault, vaultUri)] as const]),
    ...(storage === null
      ? []
      : [["storageEndpoint", factOf(storage, "primaryEndpoints.dfs")] as const]),
    ...(attestation === null
      ? []
      : [["attestationUri", factOf(attestation, "attestUri")] as const]),
    ...(aks === null ? [] : [["oidcIssuer", factOf(aks, "oidcIssuerProfile.issuerURL")] as const]),
    ...Object.keys(section.identities).map((name) => {
      const key = name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
      return [`${key}ClientId`, factOf(identityPlace(section, name), "clientId")] as const;
    }),
  ];
  return Object.fromEntries(values.map(([key, value]) => [key, { type: "string", value }]));
}
