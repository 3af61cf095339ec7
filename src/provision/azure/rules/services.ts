import { AKS_ADDONS } from "../arm/aks.ts";
import type { ArmObject } from "../arm/resource.ts";
import { vaultNameSchema } from "../config/patterns.ts";
import { allResources, isObject, memberOf, type Rule, titleOf } from "./rule.ts";

/** What a member of a resource's properties must be. */
type Demand = {
  readonly type: string;
  readonly path: readonly string[];
  readonly value: string | boolean;
};

const DEMANDS: readonly Demand[] = [
  { type: "Microsoft.KeyVault/vaults", path: ["enableRbacAuthorization"], value: true },
  { type: "Microsoft.KeyVault/vaults", path: ["enablePurgeProtection"], value: true },
  { type: "Microsoft.KeyVault/vaults", path: ["enableSoftDelete"], value: true },
  { type: "Microsoft.KeyVault/vaults", path: ["sku", "name"], value: "premium" },
  { type: "Microsoft.KeyVault/managedHSMs", path: ["enablePurgeProtection"], value: true },
  { type: "Microsoft.KeyVault/managedHSMs", path: ["enableSoftDelete"], value: true },
  { type: "Microsoft.Storage/storageAccounts", path: ["allowBlobPublicAccess"], value: false },
  { type: "Microsoft.Storage/storageAccounts", path: ["supportsHttpsTrafficOnly"], value: true },
  { type: "Microsoft.Storage/storageAccounts", path: ["minimumTlsVersion"], value: "TLS1_2" },
  { type: "Microsoft.Storage/storageAccounts", path: ["isHnsEnabled"], value: true },
  {
    type: "Microsoft.ContainerService/managedClusters",
    path: ["disableLocalAccounts"],
    value: true,
  },
  {
    type: "Microsoft.ContainerService/managedClusters",
    path: ["oidcIssuerProfile", "enabled"],
    value: true,
  },
  {
    type: "Microsoft.ContainerService/managedClusters",
    path: ["securityProfile", "workloadIdentity", "enabled"],
    value: true,
  },
  {
    type: "Microsoft.ContainerService/managedClusters",
    path: ["aadProfile", "enableAzureRBAC"],
    value: true,
  },
  { type: "Microsoft.ContainerRegistry/registries", path: ["adminUserEnabled"], value: false },
];

/** The members that keep a service closed have their safe value, spelled out. */
export const safeServices: Rule = {
  name: "safe-services",
  why: "A default of Azure's can change with an API version; what matters is written down.",
  check: ({ template }) =>
    allResources(template).flatMap((one) =>
      DEMANDS.filter(
        ({ type, path, value }) => type === one.type && memberOf(one.properties, ...path) !== value,
      ).map(({ path, value }) => ({
        resource: titleOf(one),
        message: `${path.join(".")} must be ${JSON.stringify(value)}`,
      })),
    ),
};

/** No key of a storage account is allowed, unless the project file asks for it. */
export const noAccountKeys: Rule = {
  name: "no-account-keys",
  why: "An account's key reads and writes everything, for whoever has it, and no log says who.",
  check: ({ template, section }) =>
    allResources(template)
      .filter(({ type }) => type === "Microsoft.Storage/storageAccounts")
      .filter(({ properties }) => properties["allowSharedKeyAccess"] !== false)
      .filter(() => section.storage?.sharedKey !== true)
      .map((one) => ({ resource: titleOf(one), message: "allowSharedKeyAccess must be false" })),
};

/** ARM takes any add-on's name, and does nothing for one that it does not know. */
export const knownAddons: Rule = {
  name: "known-addons",
  why: "Neither of Microsoft's schemas has the names: a slip of the keyboard deploys nothing.",
  check: ({ template }) =>
    allResources(template).flatMap((one) => {
      const addons = one.properties["addonProfiles"];
      const known: readonly string[] = Object.values(AKS_ADDONS);
      return Object.keys(isObject(addons) ? addons : {})
        .filter((name) => !known.includes(name))
        .map((name) => ({ resource: titleOf(one), message: `AKS has no add-on "${name}"` }));
    }),
};

/** Days that a deleted vault is kept: from 7 to 90. */
export const vaultRetention: Rule = {
  name: "vault-retention",
  why: "Neither of Microsoft's schemas has the range; ARM refuses after minutes.",
  check: ({ template }) =>
    allResources(template)
      .filter(({ type }) => VAULT_TYPES.has(type))
      .filter(({ properties }) => !isRetention(properties))
      .map((one) => ({
        resource: titleOf(one),
        message: "softDeleteRetentionInDays must be a whole number from 7 to 90",
      })),
};

/** A vault's name: 3 to 24 letters, digits and single hyphens. */
export const vaultNames: Rule = {
  name: "vault-names",
  why: "The pattern in Microsoft's schemas is wider than what the service takes.",
  check: ({ template }) =>
    allResources(template)
      .filter(({ type }) => VAULT_TYPES.has(type))
      .filter(({ name }) => !vaultNameSchema.safeParse(name).success)
      .map((one) => ({
        resource: titleOf(one),
        message: "expected 3 to 24 letters, digits or single '-', a letter first",
      })),
};

const VAULT_TYPES: ReadonlySet<string> = new Set([
  "Microsoft.KeyVault/vaults",
  "Microsoft.KeyVault/managedHSMs",
]);

function isRetention(properties: ArmObject): boolean {
  const days = properties["softDeleteRetentionInDays"];
  return typeof days === "number" && Number.isInteger(days) && days >= 7 && days <= 90;
}
