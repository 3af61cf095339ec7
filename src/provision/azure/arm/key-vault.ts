import { toBase64Url, utf8 } from "../../../base/index.ts";
import type { AzureSection } from "../config/azure-section.ts";
import type { AzureKekConfig, KeyVaultConfig } from "../config/services.ts";
import { isActivated } from "./hsm-grants.ts";
import { type ArmObject, type ArmResource, resource } from "./resource.ts";
import { dependenciesOn, type Place, vaultPlace, vnetPlace } from "./site.ts";
import { networkRules } from "./storage.ts";

/** The form of a release policy's data. @see Secure Key Release policy grammar */
export const RELEASE_POLICY_TYPE = "application/json; charset=utf-8";

/**
 * The vault and its KEKs. ARM makes the first version of a key that is not there and leaves one that
 * is. A Managed HSM takes keys once it is activated, by its security domain: the project file says so.
 * @see docs/decisions/0013-managed-hsms-are-activated-by-people.md
 */
export function vaultResources(
  section: AzureSection,
  releasePolicies: Readonly<Record<string, unknown>>,
): readonly ArmResource[] {
  const place = vaultPlace(section);
  const { keyVault } = section;
  if (keyVault === undefined || place === null) return [];
  const isHsm = keyVault.sku === "managedHsm";
  const keys =
    place.group === null && (!isHsm || isActivated(keyVault))
      ? Object.entries(keyVault.keks).map(([name, kek]) =>
          kekResource({ section, place, name, kek, policy: releasePolicies[name] }),
        )
      : []; // One in another group gets its keys by `ppml key create`.
  if (!place.isMade) return keys;
  return [isHsm ? managedHsm(section, keyVault) : vault(section, keyVault), ...keys];
}

function vault(section: AzureSection, keyVault: KeyVaultConfig): ArmResource {
  const { region, tags, tenant, network } = section;
  return resource("Microsoft.KeyVault/vaults", {
    name: keyVault.name ?? "",
    location: region,
    tags,
    dependsOn: dependenciesOn(vnetPlace(section)),
    properties: {
      tenantId: tenant,
      sku: { family: "A", name: "premium" },
      enableRbacAuthorization: true,
      enableSoftDelete: true,
      enablePurgeProtection: true,
      softDeleteRetentionInDays: keyVault.softDeleteDays,
      enabledForDeployment: false,
      enabledForDiskEncryption: false,
      enabledForTemplateDeployment: false,
      publicNetworkAccess: network.privateEndpoints ? "Disabled" : "Enabled",
      networkAcls: vaultFirewall(section),
      ...(keyVault.recover ? { createMode: "recover" } : {}),
    },
  });
}

function vaultFirewall(section: AzureSection): ArmObject {
  const { defaultAction, addresses, subnets } = networkRules(section);
  return {
    bypass: "AzureServices",
    defaultAction,
    ipRules: addresses.map((value) => ({ value })),
    virtualNetworkRules: subnets.map((id) => ({ id })),
  };
}

function managedHsm(section: AzureSection, keyVault: KeyVaultConfig): ArmResource {
  const { region, tags, tenant, operators, network } = section;
  return resource("Microsoft.KeyVault/managedHSMs", {
    name: keyVault.name ?? "",
    location: region,
    tags,
    sku: { family: "B", name: "Standard_B1" },
    properties: {
      tenantId: tenant,
      initialAdminObjectIds: operators.map(({ objectId }) => objectId),
      enableSoftDelete: true,
      enablePurgeProtection: true,
      softDeleteRetentionInDays: keyVault.softDeleteDays,
      publicNetworkAccess: network.privateEndpoints ? "Disabled" : "Enabled",
      networkAcls: {
        bypass: "AzureServices",
        defaultAction: network.privateEndpoints ? "Deny" : "Allow",
        ipRules: [],
        virtualNetworkRules: [],
      },
      ...(keyVault.recover ? { createMode: "recover" } : {}),
    },
  });
}

/**
 * A KEK of one use. What an exportable one may be released for is its policy's to say: unwrapping in
 * the vault would go round it. ARM has no member for the policy's immutability: the steps after the
 * deployment set it, and nothing is sealed for a KEK without it.
 */
function kekResource(options: {
  readonly section: AzureSection;
  readonly place: Place;
  readonly name: string;
  readonly kek: AzureKekConfig;
  readonly policy: unknown;
}): ArmResource {
  const { section, place, name, kek, policy } = options;
  const isExportable = kek.use === "exportable";
  const data = toBase64Url(utf8(JSON.stringify(policy ?? {})));
  const isOfHsm = place.type === "Microsoft.KeyVault/managedHSMs";
  return resource(
    isOfHsm ? "Microsoft.KeyVault/managedHSMs/keys" : "Microsoft.KeyVault/vaults/keys",
    {
      name: `${place.name}/${name}`,
      tags: { ...section.tags, "ppml-use": kek.use },
      dependsOn: dependenciesOn(place),
      properties: {
        kty: "RSA-HSM",
        keySize: kek.bits,
        keyOps: isExportable ? ["wrapKey"] : ["wrapKey", "unwrapKey"],
        attributes: { enabled: true, exportable: isExportable },
        ...(isExportable ? { release_policy: { contentType: RELEASE_POLICY_TYPE, data } } : {}),
      },
    },
  );
}
