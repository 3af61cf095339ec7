import assert from "node:assert/strict";
import { test } from "node:test";
import type { ArmResource } from "../../../src/provision/index.ts";
import { toTerraform } from "../../../src/provision/index.ts";
import { sectionOf, templateOf, VARIANTS } from "./sections.ts";

const resourcesOf = (change: object = {}) =>
  templateOf(sectionOf(change as Readonly<Record<string, unknown>>)).resources;
const find = (resources: readonly ArmResource[], type: string) => {
  const found = resources.find((one) => one.type === type);
  assert.ok(found !== undefined, type);
  return found;
};
const cloudInit = (resources: readonly ArmResource[]) => {
  const { properties } = find(resources, "Microsoft.Compute/virtualMachines");
  const { customData } = properties["osProfile"] as { customData: string };
  return Buffer.from(customData, "base64").toString("utf8");
};

test("the same section gives the same template, also for role assignments' names", () => {
  assert.deepEqual(templateOf(sectionOf()), templateOf(sectionOf()));
});

test("another holder, role or scope gives a role assignment another name", () => {
  const names = resourcesOf()
    .filter(({ type }) => type === "Microsoft.Authorization/roleAssignments")
    .map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab]/);
});

test("an SGX machine's cloud-init is YAML that installs AESM and gives its user the devices", () => {
  const text = cloudInit(resourcesOf({ profile: "sgx" }));
  assert.match(text, /^#cloud-config\n\{/);
  const document = JSON.parse(text.slice(text.indexOf("\n"))) as Record<string, unknown>;
  assert.ok((document["packages"] as string[]).includes("sgx-aesm-service"));
  assert.match(text, /usermod[\s\S]*sgx,sgx_prv[\s\S]*azureuser/);
  assert.match(text, /sgx_provision.*GROUP=\\"sgx_prv\\"/);
});

test("a confidential machine's cloud-init has nothing of SGX, and no secret is in either", () => {
  assert.doesNotMatch(cloudInit(resourcesOf()), /sgx/);
  assert.doesNotMatch(JSON.stringify(resourcesOf()), /PRIVATE KEY|listKeys|adminPassword/);
});

test("nothing that is there already is made, and nothing is made for what is left out", () => {
  const types = new Set(resourcesOf(VARIANTS["existing"]).map(({ type }) => type));
  for (const type of [
    "Microsoft.Network/virtualNetworks",
    "Microsoft.Storage/storageAccounts",
    "Microsoft.KeyVault/vaults",
    "Microsoft.ContainerRegistry/registries",
    "Microsoft.Attestation/attestationProviders",
    "Microsoft.OperationalInsights/workspaces",
  ] as const)
    assert.ok(!types.has(type), type);
  const few = { vm: undefined, aks: undefined, storage: undefined, identities: {} };
  assert.deepEqual(
    resourcesOf({ ...few, registry: undefined, attestation: undefined, logAnalytics: undefined })
      .map(({ type }) => type)
      .filter((type) => !/KeyVault|Authorization/.test(type)),
    [],
  );
});

test("roles on what lies in another group are deployed there, in one deployment a group", () => {
  const nested = resourcesOf(VARIANTS["existing"]).filter(
    ({ type }) => type === "Microsoft.Resources/deployments",
  );
  assert.equal(nested.length, 1);
  assert.equal(nested[0]?.resourceGroup, "shared");
});

test("a cluster waits for the roles that it needs while it is made", () => {
  const resources = resourcesOf();
  const { dependsOn = [] } = find(resources, "Microsoft.ContainerService/managedClusters");
  const roles = dependsOn.filter((id) => id.includes("/roleAssignments/"));
  assert.equal(roles.length, 2);
  for (const id of roles) assert.ok(resources.some(({ name }) => id.endsWith(name)));
});

for (const [name, change] of Object.entries(VARIANTS))
  test(`Terraform has a block for each resource of "${name}", and refers only to its own`, () => {
    const section = sectionOf(change);
    const template = templateOf(section);
    const document = toTerraform(template, section) as unknown as {
      resource: { azapi_resource: Record<string, { type: string }> };
    };
    const blocks = document.resource.azapi_resource;
    assert.equal(Object.keys(blocks).length, template.resources.length + 1);
    const text = JSON.stringify(document);
    for (const [, label = ""] of text.matchAll(/azapi_resource\.(\w+)/g))
      assert.ok(Object.hasOwn(blocks, label), label);
    const own = JSON.stringify(
      Object.fromEntries(
        Object.entries(blocks).filter(([, { type }]) => !type.includes("/deployments@")),
      ),
    );
    assert.doesNotMatch(own, /"\[(?:resourceId|reference)\(/);
  });
