import { type AzureSection, azureSectionSchema } from "../../../src/provision/index.ts";
import { buildTemplate, type ArmTemplate } from "../../../src/provision/index.ts";

/** A public key of nobody: the template takes any text. */
export const SSH_KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHRlc3QgdGVzdCB0ZXN0IHRlc3QgdGVzdCB0ZXN0 test";

export const RELEASE_POLICY = {
  version: "1.0.0",
  anyOf: [
    {
      authority: "https://ppmlattest.eus2.attest.azure.net",
      allOf: [{ claim: "x-ms-attestation-type", equals: "sevsnpvm" }],
    },
  ],
};

/** A section in which everything is made; `change` is put over it before it is parsed. */
export function sectionOf(change: Readonly<Record<string, unknown>> = {}): AzureSection {
  return azureSectionSchema.parse({ ...FULL, ...change });
}

/** The template of a section. */
export function templateOf(section: AzureSection): ArmTemplate {
  return buildTemplate({
    section,
    sshPublicKey: SSH_KEY,
    releasePolicies: { "input-direct": RELEASE_POLICY },
  });
}

/** As a person would write it, all services in it. */
export const FULL = {
  subscription: "11111111-2222-4333-8444-555555555555",
  tenant: "99999999-8888-4777-8666-555555555555",
  region: "eastus2",
  resourceGroup: "bigdl-rg-es2-test",
  tags: { project: "demo" },
  operators: [{ objectId: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee" }],
  vm: { sshPublicKeyFile: "/home/me/.ssh/id_ed25519.pub" },
  aks: {},
  storage: { account: "ppmldemolake", filesystem: "sealed" },
  keyVault: {
    name: "ppml-demo-vault",
    keks: {
      input: { use: "unwrap-only" },
      "input-direct": { use: "exportable", policy: "analysis" },
    },
  },
  attestation: { name: "ppmlattest" },
  registry: { name: "ppmldemoregistry" },
  logAnalytics: {},
  identities: {
    broker: { role: "broker", namespace: "ppml", serviceAccount: "broker", keks: ["input"] },
    spark: {
      namespace: "default",
      serviceAccount: "spark",
      data: "write",
      keks: ["input-direct"],
      secrets: ["enclave-key-pem", "key-pass"],
    },
  },
} as const;

/** Those of FULL without secrets, which a Managed HSM has none of. */
export const HSM_IDENTITIES = {
  broker: FULL.identities.broker,
  spark: { ...FULL.identities.spark, secrets: [] },
};

const ID = "/subscriptions/aaaaaaaa-2222-4333-8444-555555555555/resourceGroups/shared/providers";

/** The kinds of template that have a snapshot: each is a change of FULL. */
export const VARIANTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  snp: {},
  tdx: { profile: "tdx" },
  sgx: { profile: "sgx" },
  private: {
    network: {
      privateEndpoints: true,
      hub: { vnet: `${ID}/Microsoft.Network/virtualNetworks/hub`, cidrs: ["192.168.0.0/16"] },
    },
    aks: { private: true, nodeCount: 5 },
    vm: { ...FULL.vm, diskEncryption: "guest-state" },
  },
  open: {
    network: { allowedIpRanges: ["203.0.113.0/24"] },
    vm: { ...FULL.vm, count: 2, sshFrom: ["203.0.113.7/32"] },
    aks: { authorizedIpRanges: ["203.0.113.0/24"], kubernetesVersion: "1.34" },
    storage: { ...FULL.storage, sharedKey: true },
  },
  existing: {
    network: { existing: `${ID}/Microsoft.Network/virtualNetworks/corp` },
    storage: { existing: "oldlake", filesystem: "sealed" },
    keyVault: {
      existing: `${ID}/Microsoft.KeyVault/vaults/corp-vault`,
      keks: FULL.keyVault.keks,
    },
    registry: { existing: `${ID}/Microsoft.ContainerRegistry/registries/corpregistry` },
    attestation: { existing: "oldattest" },
    logAnalytics: { existing: `${ID}/Microsoft.OperationalInsights/workspaces/corp-logs` },
  },
  managedHsm: {
    keyVault: { name: "ppml-demo-hsm", sku: "managedHsm", keks: FULL.keyVault.keks },
    identities: HSM_IDENTITIES,
  },
  activatedHsm: {
    keyVault: {
      name: "ppml-demo-hsm",
      sku: "managedHsm",
      activated: true,
      keks: FULL.keyVault.keks,
    },
    identities: HSM_IDENTITIES,
  },
  existingHsm: {
    keyVault: { existing: "corp-hsm", sku: "managedHsm", keks: FULL.keyVault.keks },
    identities: HSM_IDENTITIES,
  },
};
