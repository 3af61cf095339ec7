import type { AzureSection } from "../config/azure-section.ts";
import { type ArmResource, resource } from "./resource.ts";
import {
  aksPlace,
  attestationPlace,
  dependenciesOn,
  logsPlace,
  type Place,
  registryPlace,
  storagePlace,
  vaultPlace,
} from "./site.ts";

/** Audit logs of what the template makes, sent to the workspace; nothing without one. */
export function diagnosticResources(section: AzureSection): readonly ArmResource[] {
  const logs = logsPlace(section);
  if (logs === null) return [];
  const storage = storagePlace(section);
  const targets: readonly Target[] = [
    ...targetOf(vaultPlace(section), ["AuditEvent"]),
    ...targetOf(aksPlace(section), ["kube-audit-admin", "guard"]),
    ...targetOf(attestationPlace(section), ["AuditEvent"]),
    ...targetOf(registryPlace(section), ["ContainerRegistryLoginEvents"]),
    ...targetOf(storage, ["StorageRead", "StorageWrite", "StorageDelete"]).map(
      ({ place, categories }) => ({
        place,
        categories,
        scope: `[resourceId('Microsoft.Storage/storageAccounts/blobServices', '${place.name}', 'default')]`,
      }),
    ),
  ];
  return targets.map(({ place, scope, categories }) =>
    resource("Microsoft.Insights/diagnosticSettings", {
      name: "ppml",
      scope,
      dependsOn: [...dependenciesOn(place, logs), ...(scope === place.id ? [] : [scope])],
      properties: {
        workspaceId: logs.id,
        logs: categories.map((category) => ({ category, enabled: true })),
      },
    }),
  );
}

type Target = {
  readonly place: Place;
  readonly scope: string;
  readonly categories: readonly string[];
};

/** What exists already is its owner's to watch. */
function targetOf(place: Place | null, categories: readonly string[]): readonly Target[] {
  return place?.isMade === true ? [{ place, scope: place.id, categories }] : [];
}
