import assert from "node:assert/strict";
import { test } from "node:test";
import type { WhatIfProperty } from "../../../src/provision/azure/deploy/arm-port.ts";
import { NOISE_RULES, realChanges } from "../../../src/provision/azure/deploy/noise.ts";

const id = (type: string) =>
  `/subscriptions/s/resourceGroups/g/providers/${type.replace(/^([^/]+)\/([^/]+)/, "$1/$2/name")}`;
const AKS = id("Microsoft.ContainerService/managedClusters");
const VM = id("Microsoft.Compute/virtualMachines");
const KEY = `${id("Microsoft.KeyVault/vaults")}/keys/k`;
const HSM = id("Microsoft.KeyVault/managedHSMs");
const HSM_KEY = `${HSM}/keys/k`;
const VAULT = id("Microsoft.KeyVault/vaults");

type Kind = WhatIfProperty["propertyChangeType"];
const change = (path: string, kind: Kind, values: object = {}): WhatIfProperty => ({
  path,
  propertyChangeType: kind,
  ...values,
});

const NOISE: readonly (readonly [rule: string, id: string, WhatIfProperty])[] = [
  ["no-effect", AKS, change("properties.fqdn", "NoEffect", { before: "x" })],
  ["filled-by-azure", AKS, change("properties.networkProfile.podCidrs", "Delete", { before: [] })],
  [
    "filled-by-azure",
    AKS,
    change("properties.agentPoolProfiles.0.nodeImageVersion", "Delete", { before: "x" }),
  ],
  ["filled-by-azure", VM, change("properties.osProfile.customData", "Create", { after: "x" })],
  ["filled-by-azure", VAULT, change("properties.vaultUri", "Delete", { before: "x" })],
  [
    "unevaluated-reference",
    AKS,
    change("properties.identityProfile.kubeletidentity.clientId", "Modify", {
      before: "b",
      after: "[reference(resourceId('a/b', 'c'), '2024-11-30').clientId]",
    }),
  ],
  ["letter-case", VM, change("location", "Modify", { before: "East US 2", after: "eastus2" })],
  [
    "order-of-a-set",
    KEY,
    change("properties.keyOps", "Array", {
      before: ["unwrapKey", "wrapKey"],
      after: ["wrapKey", "unwrapKey"],
    }),
  ],
  [
    "filled-by-azure",
    HSM,
    change("properties.securityDomainProperties.activationStatus", "Delete", { before: "Active" }),
  ],
  ["filled-by-azure", HSM, change("properties.statusMessage", "Delete", { before: "x" })],
  ["filled-by-azure", HSM_KEY, change("properties.attributes.created", "Delete", { before: 1 })],
  ["etag", VM, change("etag", "Delete", { before: "x" })],
];

/** Like noise, and not: a plan must show these. */
const REAL: readonly (readonly [why: string, id: string, WhatIfProperty])[] = [
  [
    "an API server that is opened to all",
    AKS,
    change("properties.apiServerAccessProfile.authorizedIPRanges", "Delete", { before: ["a"] }),
  ],
  [
    "local accounts that are turned on",
    AKS,
    change("properties.disableLocalAccounts", "Modify", { before: true, after: false }),
  ],
  [
    "a vault's firewall that goes",
    VAULT,
    change("properties.networkAcls.ipRules", "Delete", { before: [{ value: "1.2.3.4" }] }),
  ],
  [
    "a key that gets an operation more",
    KEY,
    change("properties.keyOps", "Array", { before: ["wrapKey"], after: ["wrapKey", "unwrapKey"] }),
  ],
  [
    "a release policy that changes",
    KEY,
    change("properties.release_policy.data", "Modify", { before: "YQ", after: "Yg" }),
  ],
  [
    "a key of a Managed HSM that gets an operation more",
    HSM_KEY,
    change("properties.keyOps", "Array", { before: ["wrapKey"], after: ["wrapKey", "unwrapKey"] }),
  ],
  [
    "a Managed HSM's purge protection that goes",
    HSM,
    change("properties.enablePurgeProtection", "Delete", { before: true }),
  ],
  [
    "a Managed HSM that is in another region too",
    HSM,
    change("properties.regions", "Delete", { before: [{ name: "westus" }] }),
  ],
  [
    "a Managed HSM that somebody opened to a service's addresses",
    HSM,
    change("properties.networkAcls.serviceTags", "Delete", { before: [{ tag: "x" }] }),
  ],
  [
    "a member that Azure fills in, where the template changes it",
    AKS,
    change("properties.kubernetesVersion", "Modify", { before: "1.33", after: "1.34" }),
  ],
  [
    "a list whose order matters",
    VM,
    change("properties.networkProfile.networkInterfaces", "Array", {
      before: ["a", "b"],
      after: ["b", "a"],
    }),
  ],
];

for (const [rule, resource, one] of NOISE)
  test(`noise by the rule ${rule}: ${one.path}`, () => {
    assert.deepEqual(realChanges(resource, [one]), []);
    const type = resource.split("/providers/").at(-1)?.split("/") ?? [];
    const name = [type[0], ...type.slice(1).filter((_, index) => index % 2 === 0)].join("/");
    const by = NOISE_RULES.filter(({ matches }) => matches({ type: name, change: one }));
    assert.ok(
      by.some(({ name: found }) => found === rule),
      JSON.stringify(by),
    );
  });

for (const [why, resource, one] of REAL)
  test(`T228: no noise: ${why}`, () => {
    assert.equal(realChanges(resource, [one]).length, 1);
  });

test("every rule of noise has an example, and a reason", () => {
  const shown = new Set(NOISE.map(([rule]) => rule));
  for (const { name, why } of NOISE_RULES) {
    assert.ok(shown.has(name), name);
    assert.match(why, /^.{20,}\.$/);
  }
});

test("changes below a change are told one by one, with their whole path", () => {
  const children = [
    change("enabled", "Modify", { before: true, after: false }),
    change("etag", "Delete", { before: "x" }),
  ];
  const found = realChanges(AKS, [change("properties.oidcIssuerProfile", "Modify", { children })]);
  assert.deepEqual(
    found.map(({ path }) => path),
    ["properties.oidcIssuerProfile.enabled"],
  );
});
