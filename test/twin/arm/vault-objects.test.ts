import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { KEYS, SECRETS } from "../../../src/twin/keyvault/documents.ts";
import { builtInRole, BUILT_IN_ROLES } from "../../../src/twin/rbac/built-in-roles.ts";
import { runningTwin } from "../running.ts";
import { armClient, principalWith } from "./client.ts";

const API = "?api-version=2026-02-01";

test("ARM takes a role at what is there, and refuses one at a vault, key or secret that is not", async (t) => {
  const twin = await runningTwin(t);
  const { state } = twin.base;
  const arm = await armClient(twin);
  const group = `/subscriptions/${twin.subscriptionId}/resourceGroups/rg`;
  await arm.call("PUT", group, { location: "eastus2" });
  const vault = `${group}/providers/Microsoft.KeyVault/vaults/kv-objects`;
  const role = BUILT_IN_ROLES.find(({ roleName }) => roleName === "Key Vault Secrets User");
  assert.ok(builtInRole(role?.name ?? "") !== null);
  const { objectId: principalId } = principalWith(twin);
  const give = async (scope: string) => {
    const properties = {
      roleDefinitionId: `/providers/Microsoft.Authorization/roleDefinitions/${role?.name ?? ""}`,
      principalId,
      principalType: "ServicePrincipal",
    };
    const path = `${scope}/providers/Microsoft.Authorization/roleAssignments/${randomUUID()}`;
    const { status, body } = await arm.call("PUT", path, { properties });
    return [status, body.error?.code ?? ""];
  };

  assert.deepEqual(await give(vault), [404, "ResourceNotFound"]);
  const properties = { tenantId: twin.tenantId, sku: { family: "A", name: "premium" } };
  assert.equal((await arm.call("PUT", vault, { location: "eastus2", properties })).status, 201);
  assert.deepEqual(await give(vault), [201, ""]);
  for (const scope of [`${vault}/secrets/pass`, `${vault}/keys/kek`]) {
    assert.deepEqual(await give(scope), [404, "ResourceNotFound"]);
    assert.equal((await arm.call("GET", `${scope}${API}`)).status, 404);
  }

  // As the data plane makes and deletes them.
  const version = {
    version: "0".repeat(32),
    enabled: true,
    nbf: null,
    exp: null,
    created: 1,
    updated: 1,
    tags: {},
  };
  const secret = {
    name: "pass",
    deleted: null,
    managed: false,
    versions: [{ ...version, value: "hidden from ARM", contentType: null }],
  };
  state.put(SECRETS, "kv-objects.vault.azure.net/pass", secret);
  state.put(KEYS, "kv-objects.vault.azure.net/kek", {
    name: "kek",
    deleted: null,
    releasePolicy: null,
    managed: false,
    versions: [
      { ...version, kty: "RSA-HSM", keyOps: ["wrapKey"], exportable: false, material: {} },
    ],
  });
  for (const scope of [`${vault}/secrets/pass`, `${vault}/keys/kek`]) {
    assert.deepEqual(await give(scope), [201, ""]);
    const { status, body } = await arm.call("GET", `${scope}${API}`);
    assert.equal(status, 200);
    assert.doesNotMatch(JSON.stringify(body), /hidden from ARM/);
  }
  state.put(SECRETS, "kv-objects.vault.azure.net/pass", {
    ...secret,
    deleted: { at: 1, purge: 2 },
  });
  assert.deepEqual(await give(`${vault}/secrets/pass`), [404, "ResourceNotFound"]);
});
