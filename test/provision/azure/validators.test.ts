import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkRules } from "../../../src/provision/index.ts";
import type { ArmResource, ArmTemplate } from "../../../src/provision/index.ts";
import { sharedPath, skipWithout } from "../../shared-data.ts";
import { checkBicep, loadBicepTypes } from "../arm-types/bicep-types.ts";
import { checkSchema, loadArmSchemas } from "../arm-types/json-schemas.ts";
import { sectionOf, templateOf, VARIANTS } from "./sections.ts";

const TYPES = sharedPath("data", "arm", "bicep-types");
const SCHEMAS = sharedPath("data", "arm", "json-schemas");

/** Resource types that neither of the two has in ../shared. */
const UNKNOWN = new Set([
  "Microsoft.ContainerRegistry/registries",
  "Microsoft.Insights/diagnosticSettings",
  "Microsoft.Network/privateDnsZones",
  "Microsoft.Network/privateDnsZones/virtualNetworkLinks",
  "Microsoft.Resources/deployments",
]);

/** A fault: what is changed in which resource, and which of the three notices. */
type Fault = {
  readonly what: string;
  readonly type: string;
  readonly change: (properties: Record<string, unknown>, resource: Loose) => void;
  readonly by: readonly ("bicep" | "schema" | "rules")[];
};
type Loose = { -readonly [Key in keyof ArmResource]: ArmResource[Key] };

const VAULT = "Microsoft.KeyVault/vaults";
const STORAGE = "Microsoft.Storage/storageAccounts";
const AKS = "Microsoft.ContainerService/managedClusters";
const VM = "Microsoft.Compute/virtualMachines";
const at = (value: unknown, ...path: readonly string[]): Record<string, unknown> =>
  path.reduce(
    (one, name) => one[name] as Record<string, unknown>,
    value as Record<string, unknown>,
  );

const FAULTS: readonly Fault[] = [
  {
    what: "a misspelt member of a vault",
    type: VAULT,
    change: (p) => void (p["enablePurgeProtecton"] = true),
    by: ["bicep"],
  },
  {
    what: "a vault without its tenant",
    type: VAULT,
    change: (p) => void delete p["tenantId"],
    by: ["bicep", "schema"],
  },
  {
    what: "a vault of an unknown SKU",
    type: VAULT,
    change: (p) => void (at(p, "sku")["name"] = "ultra"),
    by: ["bicep", "schema", "rules"],
  },
  {
    what: "text where a vault has true or false",
    type: VAULT,
    change: (p) => void (p["enableRbacAuthorization"] = "true"),
    by: ["bicep", "schema", "rules"],
  },
  {
    what: "a read-only member of a storage account",
    type: STORAGE,
    change: (p) => void (p["provisioningState"] = "Succeeded"),
    by: ["bicep"],
  },
  {
    what: "a storage account of an unknown TLS version",
    type: STORAGE,
    change: (p) => void (p["minimumTlsVersion"] = "TLS1_9"),
    by: ["schema", "rules"],
  },
  {
    what: "soft delete for longer than a year",
    type: "Microsoft.Storage/storageAccounts/blobServices",
    change: (p) => void (at(p, "deleteRetentionPolicy")["days"] = 400),
    by: ["bicep", "schema"],
  },
  {
    what: "a pod network that is none",
    type: AKS,
    change: (p) => void (at(p, "networkProfile")["podCidr"] = "10.244.0.0/99"),
    by: ["bicep", "schema"],
  },
  {
    what: "a pool's number of nodes as text",
    type: "Microsoft.ContainerService/managedClusters/agentPools",
    change: (p) => void (p["count"] = "three"),
    by: ["bicep", "schema"],
  },
  {
    what: "a VM's disk that is made from nothing known",
    type: VM,
    change: (p) => void (at(p, "storageProfile", "osDisk")["createOption"] = "FromNowhere"),
    by: ["schema"],
  },
  {
    what: "a VM with an unknown kind of encryption",
    type: VM,
    change: (p) =>
      void (at(p, "storageProfile", "osDisk", "managedDisk", "securityProfile")[
        "securityEncryptionType"
      ] = "Everything"),
    by: ["schema"],
  },
  {
    what: "a role assignment without its holder",
    type: "Microsoft.Authorization/roleAssignments",
    change: (p) => void delete p["principalId"],
    by: ["bicep", "schema"],
  },
  {
    what: "a misspelt add-on",
    type: AKS,
    change: (p) => void (at(p, "addonProfiles")["azureKeyVaultSecretProvider"] = { enabled: true }),
    by: ["rules"],
  },
  {
    what: "a vault's retention of 5 days",
    type: VAULT,
    change: (p) => void (p["softDeleteRetentionInDays"] = 5),
    by: ["rules"],
  },
  {
    what: "a vault's name with an underscore",
    type: VAULT,
    change: (_, one) => void (one.name = "my_vault"),
    by: ["rules"],
  },
];

function faulty({ type, change }: Fault): { template: ArmTemplate; resource: ArmResource } {
  const template = structuredClone(templateOf(sectionOf()));
  const resource = template.resources.find((one) => one.type === type);
  assert.ok(resource !== undefined, `the template has no ${type}`);
  change(resource.properties, resource);
  return { template, resource };
}

describe("Microsoft's own types and schemas", { skip: skipWithout(TYPES ?? SCHEMAS) }, () => {
  const types = loadBicepTypes(TYPES ?? "");
  const schemas = loadArmSchemas(SCHEMAS ?? "");

  for (const [name, change] of Object.entries(VARIANTS))
    test(`take every resource of the template "${name}"`, () => {
      for (const resource of templateOf(sectionOf(change)).resources) {
        const [bicep, schema] = [checkBicep(types, resource), checkSchema(schemas, resource)];
        assert.deepEqual([bicep ?? [], schema ?? []].flat(), []);
        assert.equal(bicep === null && schema === null, UNKNOWN.has(resource.type), resource.type);
      }
    });

  for (const fault of FAULTS)
    test(`${fault.what} is noticed by ${fault.by.join(" and ")}`, () => {
      const { template, resource } = faulty(fault);
      const found = {
        bicep: (checkBicep(types, resource) ?? []).length > 0,
        schema: (checkSchema(schemas, resource) ?? []).length > 0,
        rules: checkRules({ template, section: sectionOf() }).length > 0,
      };
      const by = (["bicep", "schema", "rules"] as const).filter((one) => found[one]);
      assert.deepEqual(by, fault.by);
    });
});
