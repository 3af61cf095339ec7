import assert from "node:assert/strict";
import { test } from "node:test";
import {
  FEDERATION_AUDIENCE,
  issueServiceAccountToken,
} from "../../../src/twin/entra/service-account.ts";
import { OIDC_ISSUERS, PRINCIPALS } from "../../../src/twin/state-kinds.ts";
import { runInTwin, runningTwin } from "../running.ts";
import { armClient, deployment, template } from "./client.ts";
import type { Json } from "./client.ts";

const CLUSTER = "resourceId('Microsoft.ContainerService/managedClusters', 'aks')";
const IDENTITY = "resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', 'job')";
const VAULT = "resourceId('Microsoft.KeyVault/vaults', 'kveffects123')";

function resources(tenantId: string): readonly Json[] {
  return [
    {
      type: "Microsoft.ContainerService/managedClusters",
      apiVersion: "2026-05-01",
      name: "aks",
      location: "eastus2",
      identity: { type: "SystemAssigned" },
      properties: {
        dnsPrefix: "aks",
        oidcIssuerProfile: { enabled: true },
        agentPoolProfiles: [
          { name: "system", mode: "System", count: 1, vmSize: "Standard_D4s_v5" },
        ],
      },
    },
    {
      type: "Microsoft.ManagedIdentity/userAssignedIdentities",
      apiVersion: "2024-11-30",
      name: "job",
      location: "eastus2",
      properties: {},
    },
    {
      type: "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
      apiVersion: "2024-11-30",
      name: "job/spark",
      dependsOn: [`[${CLUSTER}]`, `[${IDENTITY}]`],
      properties: {
        issuer: `[reference(${CLUSTER}, '2026-05-01').oidcIssuerProfile.issuerURL]`,
        subject: "system:serviceaccount:default:spark",
        audiences: [FEDERATION_AUDIENCE],
      },
    },
    {
      type: "Microsoft.KeyVault/vaults",
      apiVersion: "2026-02-01",
      name: "kveffects123",
      location: "eastus2",
      properties: {
        tenantId,
        sku: { family: "A", name: "premium" },
        enableRbacAuthorization: true,
      },
    },
    {
      type: "Microsoft.KeyVault/vaults/keys",
      apiVersion: "2026-02-01",
      name: "kveffects123/kek",
      dependsOn: [`[${VAULT}]`],
      properties: { kty: "RSA-HSM", keySize: 3072, keyOps: ["wrapKey", "unwrapKey"] },
    },
    {
      type: "Microsoft.Authorization/roleAssignments",
      apiVersion: "2022-04-01",
      name: "[guid(resourceGroup().id, 'job')]",
      scope: `[${VAULT}]`,
      dependsOn: [`[${VAULT}]`, `[${IDENTITY}]`],
      properties: {
        roleDefinitionId:
          "[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '12338af0-0e69-4776-bea7-57ae8d297424')]",
        principalId: `[reference(${IDENTITY}, '2024-11-30').principalId]`,
        principalType: "ServicePrincipal",
      },
    },
  ];
}

test("a pod of a deployed cluster becomes its identity and uses a deployed key, until its role goes", async (t) => {
  const twin = await runningTwin(t);
  const { state } = twin.base;
  const arm = await armClient(twin);
  const group = `/subscriptions/${twin.subscriptionId}/resourceGroups/rg`;
  await arm.call("PUT", group, { location: "eastus2" });
  const path = `${group}/providers/Microsoft.Resources/deployments/main`;
  const made = await arm.finish("PUT", path, deployment(template(...resources(twin.tenantId))));
  assert.equal(made.body.properties?.["provisioningState"], "Succeeded", JSON.stringify(made.body));

  const cluster = await arm.call(
    "GET",
    `${group}/providers/Microsoft.ContainerService/managedClusters/aks`,
  );
  const { issuerURL: issuer } = (cluster.body.properties ?? {})["oidcIssuerProfile"] as {
    issuerURL: string;
  };
  assert.match(
    issuer,
    /^https:\/\/eastus2\.oic\.prod-aks\.azure\.com\/[0-9a-f-]{36}\/[0-9a-f-]{36}\/$/,
  );
  const credentials = await arm.call(
    "POST",
    `${group}/providers/Microsoft.ContainerService/managedClusters/aks/listClusterUserCredential`,
  );
  const [{ value }] = credentials.body["kubeconfigs"] as [{ value: string }];
  assert.match(Buffer.from(value, "base64").toString(), /command: kubelogin/);

  const nowMs = Date.now();
  const token = await issueServiceAccountToken(state, {
    issuer,
    subject: "system:serviceaccount:default:spark",
    audience: FEDERATION_AUDIENCE,
    nowMs,
    expiresMs: nowMs + 600_000,
  });
  const job = state.list(PRINCIPALS).find(({ document }) => document.displayName === "job");
  const program = `
    import { writeFileSync, mkdtempSync, rmSync } from "node:fs";
    import { WorkloadIdentityCredential } from "@azure/identity";
    import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
    const folder = mkdtempSync("/tmp/ppml-pod-");
    const tokenFilePath = folder + "/token";
    writeFileSync(tokenFilePath, process.env.POD_TOKEN);
    const credential = new WorkloadIdentityCredential({ clientId: process.env.POD_CLIENT, tokenFilePath });
    const options = { retryOptions: { maxRetries: 0 } };
    try {
      const key = await new KeyClient("https://kveffects123.vault.azure.net", credential, options).getKey("kek");
      const crypto = new CryptographyClient(key.id, credential, options);
      const { result } = await crypto.wrapKey("RSA-OAEP-256", Buffer.alloc(32, 7));
      const { result: back } = await crypto.unwrapKey("RSA-OAEP-256", result);
      console.log(key.keyType, Buffer.from(back).toString("hex").slice(0, 4));
    } catch (error) { console.log(error.statusCode, error.code); }
    rmSync(folder, { recursive: true });`;
  const environment = { POD_TOKEN: token, POD_CLIENT: job?.document.clientId ?? "" };
  const said = await runInTwin(twin, program, environment);
  assert.equal(said.stdout.trim(), "RSA-HSM 0707", said.stderr);

  const assignments = await arm.call(
    "GET",
    `${group}/providers/Microsoft.KeyVault/vaults/kveffects123/providers/Microsoft.Authorization/roleAssignments?$filter=atScope()&api-version=2022-04-01`,
  );
  const all = assignments.body["value"] as readonly { id: string; properties: Json }[];
  const own = all.find(({ properties }) => properties["principalId"] === job?.id);
  assert.equal((await arm.call("DELETE", own?.id ?? "")).status, 200);
  const denied = await runInTwin(twin, program, environment);
  assert.match(denied.stdout, /^403 /, denied.stderr);

  // With the cluster goes its issuer: its tokens are nobody's any more.
  const aks = `${group}/providers/Microsoft.ContainerService/managedClusters/aks`;
  assert.equal((await arm.finish("DELETE", aks)).status, 200);
  assert.equal(state.get(OIDC_ISSUERS, issuer), null);
  const gone = await runInTwin(twin, program, environment);
  assert.doesNotMatch(gone.stdout, /RSA-HSM/);
});
