import assert from "node:assert/strict";
import { test } from "node:test";
import { azureSectionSchema, secretRoles } from "../../../src/provision/index.ts";
import { ROLES } from "../../../src/provision/azure/roles.ts";
import { FULL, sectionOf, templateOf, VARIANTS } from "./sections.ts";

// What the guide has people type in steps 2.1 to 2.4: that the template says it, by its defaults.

const { resources } = templateOf(sectionOf());
const of = (type: string) => {
  const found = resources.find((one) => one.type === type);
  assert.ok(found !== undefined, type);
  return found;
};
const cluster = of("Microsoft.ContainerService/managedClusters");
const member = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], value);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const rolesOf = (holder: string) =>
  resources
    .filter(({ type }) => type === "Microsoft.Authorization/roleAssignments")
    .filter(({ properties }) => text(properties["principalId"]).includes(`'${holder}'`))
    .map(({ properties, scope = "" }) => ({
      role: text(properties["roleDefinitionId"]).split("/").at(-1) ?? "",
      scope,
    }));

test("names, region and group are said once, and every resource has them", () => {
  for (const { location, type } of resources)
    if (location !== undefined) assert.equal(location, "eastus2", type);
  assert.ok(JSON.stringify(resources).includes(FULL.resourceGroup));
});

test("the client machine is a confidential one of more than 4 vCPUs, reached by a key alone", () => {
  const { properties } = of("Microsoft.Compute/virtualMachines");
  assert.equal(member(properties, "hardwareProfile", "vmSize"), "Standard_DC8as_v6");
  assert.equal(member(properties, "securityProfile", "securityType"), "ConfidentialVM");
  assert.equal(
    member(properties, "osProfile", "linuxConfiguration", "disablePasswordAuthentication"),
    true,
  );
});

test("the cluster has the guide's networks and node count where the project file says nothing", () => {
  const network = cluster.properties["networkProfile"];
  assert.equal(member(network, "serviceCidr"), "10.0.0.0/16");
  assert.equal(member(network, "dnsServiceIP"), "10.0.0.10");
  assert.equal(member(network, "podCidr"), "10.244.0.0/16");
  const pool = of("Microsoft.ContainerService/managedClusters/agentPools");
  assert.equal(pool.properties["count"], 3);
});

test("CNI overlay in the place of kubenet, in the template's own subnet", () => {
  const network = cluster.properties["networkProfile"];
  assert.equal(member(network, "networkPlugin"), "azure");
  assert.equal(member(network, "networkPluginMode"), "overlay");
  const pool = of("Microsoft.ContainerService/managedClusters/agentPools");
  assert.match(text(pool.properties["vnetSubnetID"]), /subnets', 'ppml-vnet', 'aks'\)\]$/);
});

test("no service principal: the cluster has managed identities", () => {
  assert.equal(cluster.identity?.["type"], "UserAssigned");
  assert.equal(cluster.properties["servicePrincipalProfile"], undefined);
  assert.doesNotMatch(JSON.stringify(resources), /"(?:secret|password|clientSecret)"/i);
});

test("the cluster has Network Contributor on its subnet alone", () => {
  const held = rolesOf("ppml-aks-control").filter(
    ({ role }) => role === ROLES.networkContributor.id,
  );
  assert.equal(held.length, 1);
  assert.match(held[0]?.scope ?? "", /virtualNetworks\/subnets', 'ppml-vnet', 'aks'\)\]$/);
});

test("with SGX the device plugin is on, in the place of the confcom add-on", () => {
  const sgx = templateOf(sectionOf(VARIANTS["sgx"])).resources.find(
    ({ type }) => type === "Microsoft.ContainerService/managedClusters",
  );
  assert.equal(member(sgx?.properties, "addonProfiles", "ACCSGXDevicePlugin", "enabled"), true);
  assert.equal(member(cluster.properties, "addonProfiles", "ACCSGXDevicePlugin"), undefined);
});

test("the Data Lake is Gen2: StorageV2 with a hierarchical namespace, its filesystem, no keys", () => {
  const account = of("Microsoft.Storage/storageAccounts");
  assert.equal(account.kind, "StorageV2");
  assert.equal(account.properties["isHnsEnabled"], true);
  assert.equal(account.properties["allowSharedKeyAccess"], false);
  const { name } = of("Microsoft.Storage/storageAccounts/blobServices/containers");
  assert.equal(name, "ppmldemolake/default/sealed");
});

test("shared keys work only where the project file asks for them", () => {
  const open = templateOf(sectionOf(VARIANTS["open"])).resources;
  const account = open.find(({ type }) => type === "Microsoft.Storage/storageAccounts");
  assert.equal(account?.properties["allowSharedKeyAccess"], true);
});

test("the vault is Premium, with roles in the place of access policies", () => {
  const { properties } = of("Microsoft.KeyVault/vaults");
  assert.equal(member(properties, "sku", "name"), "premium");
  assert.equal(properties["enableRbacAuthorization"], true);
  assert.equal(properties["accessPolicies"], undefined);
});

test("the client machine's identity reads public keys and writes sealed data, no more", () => {
  assert.deepEqual(
    rolesOf("ppml-vm")
      .map(({ role }) => role)
      .sort((a, b) => a.localeCompare(b)),
    [
      ROLES.keyVaultReader.id,
      ROLES.aksClusterUser.id,
      ROLES.aksWriter.id,
      ROLES.aksWriter.id,
      ROLES.blobContributor.id,
    ].sort((a, b) => a.localeCompare(b)),
  );
});

test("a workload's identity is its service account's, and reads the named secrets alone", () => {
  const credential = resources.find(
    ({ type, name }) => type.endsWith("federatedIdentityCredentials") && name.includes("spark"),
  );
  assert.equal(credential?.properties["subject"], "system:serviceaccount:default:spark");
  const roles = secretRoles(sectionOf());
  assert.deepEqual(
    roles.map(({ identity, secret }) => [identity, secret]),
    [
      ["spark", "enclave-key-pem"],
      ["spark", "key-pass"],
    ],
  );
  for (const { id, secret, roleDefinitionId } of roles) {
    assert.match(id, new RegExp(`/vaults/ppml-demo-vault/secrets/${secret}/providers/`));
    assert.ok(roleDefinitionId.endsWith(ROLES.keyVaultSecretsUser.id));
  }
});

test("the secrets-store provider is on, with rotation", () => {
  const addon = member(cluster.properties, "addonProfiles", "azureKeyvaultSecretsProvider");
  assert.equal(member(addon, "enabled"), true);
  assert.equal(member(addon, "config", "enableSecretRotation"), "true");
});

test("client ids are outputs of the deployment: nobody notes them down", () => {
  const { outputs } = templateOf(sectionOf());
  assert.match(outputs["sparkClientId"]?.value ?? "", /\.clientId\]$/);
  assert.match(outputs["brokerClientId"]?.value ?? "", /\.clientId\]$/);
});

const id = (type: string, name: string) =>
  `/subscriptions/${FULL.subscription}/resourceGroups/old/providers/${type}/${name}`;

test("everything that the guide lets people have already can be named in the place of a new one", () => {
  const section = azureSectionSchema.parse({
    ...FULL,
    aks: { existing: id("Microsoft.ContainerService/managedClusters", "old") },
    storage: { existing: id("Microsoft.Storage/storageAccounts", "oldlake") },
    keyVault: { existing: id("Microsoft.KeyVault/vaults", "old-vault"), keks: FULL.keyVault.keks },
  });
  const types = templateOf(section).resources.map(({ type }) => type);
  for (const type of ["managedClusters", "storageAccounts", "vaults"])
    assert.ok(!types.some((one) => one.endsWith(`/${type}`)), type);
});
