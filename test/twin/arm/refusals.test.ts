import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { before, describe, test } from "node:test";
import { QUOTAS, SKU_RESTRICTIONS } from "../../../src/twin/arm/capacity.ts";
import { TAKEN_NAMES, UNREGISTERED } from "../../../src/twin/arm/state-kinds.ts";
import { BUILT_IN_ROLES } from "../../../src/twin/rbac/built-in-roles.ts";
import { PRINCIPALS } from "../../../src/twin/state-kinds.ts";
import type { Twin } from "../../../src/twin/start.ts";
import { runningTwin } from "../running.ts";
import { armClient, deployment, principalWith, template } from "./client.ts";
import type { Answer, ArmClient, Json } from "./client.ts";

let twin: Twin & { readonly log: string[] };
let arm: ArmClient;
let subscription = "";
let group = "";

before(async (context) => {
  assert.ok("after" in context);
  twin = await runningTwin(context);
  arm = await armClient(twin);
  subscription = `/subscriptions/${twin.subscriptionId}`;
  group = `${subscription}/resourceGroups/rg`;
  await arm.call("PUT", group, { location: "eastus2" });
});

const identity = { location: "eastus2", properties: {} };
const vault = (properties: Json = {}): Json => ({
  location: "eastus2",
  properties: {
    tenantId: twin.tenantId,
    sku: { family: "A", name: "premium" },
    ...properties,
  },
});
const account = (properties: Json = {}): Json => ({
  location: "eastus2",
  kind: "StorageV2",
  sku: { name: "Standard_LRS" },
  properties,
});

function assertRefused(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.equal(answer.body.error?.code, code, JSON.stringify(answer.body));
}

const idOf = (name: string): string =>
  `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
const vaultOf = (name: string): string => `${group}/providers/Microsoft.KeyVault/vaults/${name}`;
const accountOf = (name: string): string =>
  `${group}/providers/Microsoft.Storage/storageAccounts/${name}`;
const roleId = (name: string): string =>
  `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${name}`;
const putAssignment = async (name: string, properties: Json): Promise<Answer> =>
  arm.call("PUT", `${group}/providers/Microsoft.Authorization/roleAssignments/${name}`, {
    properties,
  });
const roleNamed = (name: string): string =>
  BUILT_IN_ROLES.find(({ roleName }) => roleName === name)?.name ?? "";

describe("what ARM's double does not know is refused", () => {
  test("resource types, API versions, properties, values, names and places", async () => {
    const { call } = arm;
    assertRefused(
      await call(
        "PUT",
        `${group}/providers/Microsoft.Sql/servers/s?api-version=2023-08-01`,
        identity,
      ),
      400,
      "InvalidResourceType",
    );
    assertRefused(
      await call("PUT", `${idOf("one")}?api-version=2031-01-01`, identity),
      400,
      "NoRegisteredProviderFound",
    );
    const unknown = await call(
      "PUT",
      vaultOf("kvunknown1"),
      vault({ enableRbacAuthorisation: true }),
    );
    assertRefused(unknown, 400, "InvalidRequestContent");
    assert.match(
      unknown.body.error?.message ?? "",
      /Could not find member 'enableRbacAuthorisation'/,
    );
    assertRefused(
      await call("PUT", accountOf("valueaccount"), account({ minimumTlsVersion: "TLS1_9" })),
      400,
      "InvalidRequestContent",
    );
    assertRefused(
      await call("PUT", accountOf("Not-A-Name"), account()),
      400,
      "InvalidResourceName",
    );
    assertRefused(
      await call("PUT", idOf("elsewhere"), { ...identity, location: "mars" }),
      400,
      "LocationNotAvailableForResourceType",
    );
    assertRefused(await call("PUT", idOf("nowhere"), { properties: {} }), 400, "LocationRequired");
    assertRefused(
      await call("PUT", idOf("x").replace("/rg/", "/no-such-group/"), identity),
      404,
      "ResourceGroupNotFound",
    );
    assertRefused(await call("GET", idOf("never")), 404, "ResourceNotFound");
  });

  test("templates: unknown members, functions, parameters, types and dependencies", async () => {
    const path = `${group}/providers/Microsoft.Resources/deployments/bad/validate`;
    const one = {
      type: "Microsoft.ManagedIdentity/userAssignedIdentities",
      apiVersion: "2024-11-30",
      name: "one",
      ...identity,
    };
    const cases: readonly (readonly [Json, string])[] = [
      [{ ...template(one), functions: [] }, "InvalidTemplate"],
      [template({ ...one, name: "[nosuch('x')]" }), "NotImplementedByTwin"],
      [template({ ...one, name: "[parameters('x')]" }), "InvalidTemplate"],
      [template({ ...one, name: "[concat('x')x]" }), "InvalidTemplate"],
      [
        template({ ...one, dependsOn: ["[resourceId('Microsoft.KeyVault/vaults', 'none')]"] }),
        "InvalidTemplate",
      ],
      [template(one, one), "InvalidTemplate"],
      [template({ ...one, copy: { name: "c", count: 2 } }), "NotImplementedByTwin"],
      [template({ ...one, type: "Microsoft.Sql/servers" }), "InvalidResourceType"],
      [template({ ...one, apiVersion: "1999-01-01" }), "NoRegisteredProviderFound"],
      [template({ ...one, sku: { name: "x" } }), "InvalidTemplateDeployment"],
      [{ ...template(one), parameters: { p: { type: "string" } } }, "InvalidTemplate"],
    ];
    for (const [of, code] of cases) {
      const answer = await arm.call("POST", path, deployment(of));
      assert.equal(answer.body.error?.code, code, JSON.stringify([of, answer.body]));
    }
  });

  test("a call without a token, with one for another service, or of an ended identity", async () => {
    const { principalOf } = twin.base.authority;
    const none = await principalOf({ authorization: undefined }, ["https://management.azure.com"]);
    assert.equal(none, null);
    const principal = principalWith(twin, ["Reader", subscription]);
    const client = await armClient(twin, principal);
    assert.equal((await client.call("GET", group)).status, 200);
    twin.base.state.remove(PRINCIPALS, principal.objectId);
    assertRefused(await client.call("GET", group), 401, "InvalidAuthenticationToken");
  });
});

describe("rights are computed from role assignments", () => {
  test("T253: a reader reads and writes nothing; a role that is taken away is gone at once", async () => {
    const reader = principalWith(twin, ["Reader", subscription]);
    const client = await armClient(twin, reader);
    assert.equal((await client.call("GET", group)).status, 200);
    const denied = await client.call("PUT", idOf("denied"), identity);
    assertRefused(denied, 403, "AuthorizationFailed");
    assert.match(
      denied.body.error?.message ?? "",
      /does not have authorization to perform action 'Microsoft\.ManagedIdentity\/userAssignedIdentities\/write' over scope/,
    );
    const name = randomUUID();
    const assignment = `${group}/providers/Microsoft.Authorization/roleAssignments/${name}`;
    const made = await arm.call("PUT", assignment, {
      properties: {
        roleDefinitionId: `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${roleNamed("Managed Identity Contributor")}`,
        principalId: reader.objectId,
        principalType: "ServicePrincipal",
      },
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    assert.equal((await client.call("PUT", idOf("granted"), identity)).status, 201);
    assert.equal((await arm.call("DELETE", assignment)).status, 200);
    assertRefused(await client.call("PUT", idOf("denied"), identity), 403, "AuthorizationFailed");
  });

  test("T254: who may make a cluster's identity may not give it rights", async () => {
    const contributor = principalWith(twin, ["Contributor", subscription]);
    const client = await armClient(twin, contributor);
    const assignment = `${group}/providers/Microsoft.Authorization/roleAssignments/${randomUUID()}`;
    const body = {
      properties: {
        roleDefinitionId: `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${roleNamed("Owner")}`,
        principalId: contributor.objectId,
        principalType: "ServicePrincipal",
      },
    };
    assertRefused(await client.call("PUT", assignment, body), 403, "AuthorizationFailed");
    const path = `${group}/providers/Microsoft.Resources/deployments/escalate`;
    const inTemplate = deployment(
      template({
        type: "Microsoft.Authorization/roleAssignments",
        apiVersion: "2022-04-01",
        name: randomUUID(),
        ...body,
      }),
    );
    const denied = await client.call("PUT", path, inTemplate);
    assertRefused(denied, 403, "InvalidTemplateDeployment");
    assert.match(denied.body.error?.message ?? "", /Authorization failed for template resource/);
  });

  test("a role assignment of an unknown role, of an unknown principal, twice, or changed", async () => {
    const reader = roleId(roleNamed("Reader"));
    const { objectId: principalId } = principalWith(twin);
    const name = randomUUID();
    assertRefused(
      await putAssignment(name, { roleDefinitionId: roleId(randomUUID()), principalId }),
      400,
      "RoleDefinitionDoesNotExist",
    );
    assertRefused(
      await putAssignment(name, { roleDefinitionId: reader, principalId: randomUUID() }),
      400,
      "PrincipalNotFound",
    );
    assert.equal(
      (await putAssignment(name, { roleDefinitionId: reader, principalId })).status,
      201,
    );
    assert.equal(
      (await putAssignment(name, { roleDefinitionId: reader, principalId })).status,
      200,
    );
    assertRefused(
      await putAssignment(randomUUID(), { roleDefinitionId: reader, principalId }),
      409,
      "RoleAssignmentExists",
    );
    assertRefused(
      await putAssignment(name, {
        roleDefinitionId: roleId(roleNamed("Contributor")),
        principalId,
      }),
      400,
      "RoleAssignmentUpdateNotPermitted",
    );
  });
});

describe("names and deleted vaults", () => {
  test("a name that somebody else has is refused, and a check says so before", async () => {
    twin.base.state.put(TAKEN_NAMES, "storage/takenaccount", { by: "somebody" });
    assertRefused(
      await arm.call("PUT", accountOf("takenaccount"), account()),
      409,
      "StorageAccountAlreadyTaken",
    );
    const check = await arm.call(
      "POST",
      `${subscription}/providers/Microsoft.Storage/checkNameAvailability`,
      {
        name: "takenaccount",
        type: "Microsoft.Storage/storageAccounts",
      },
    );
    assert.equal(check.body["nameAvailable"], false);
    const free = await arm.call(
      "POST",
      `${subscription}/providers/Microsoft.KeyVault/checkNameAvailability`,
      {
        name: "kvfree12345",
        type: "Microsoft.KeyVault/vaults",
      },
    );
    assert.deepEqual(free.body, { nameAvailable: true });
  });

  test("a deleted vault keeps its name, is recovered, and is purged where that is allowed", async () => {
    const name = "kvsoft12345";
    const { call } = arm;
    assert.equal((await call("PUT", vaultOf(name), vault())).status, 201);
    assert.equal((await call("DELETE", vaultOf(name))).status, 200);
    assertRefused(await call("PUT", vaultOf(name), vault()), 409, "ConflictError");
    const deleted = `${subscription}/providers/Microsoft.KeyVault/locations/eastus2/deletedVaults/${name}`;
    assert.equal((await call("GET", deleted)).status, 200);
    const recovered = await call("PUT", vaultOf(name), vault({ createMode: "recover" }));
    assert.equal(recovered.status, 201, JSON.stringify(recovered.body));
    assertRefused(await call("GET", deleted), 404, "VaultNotFound");
    await call("DELETE", vaultOf(name));
    assert.equal((await arm.finish("POST", `${deleted}/purge`)).status, 200);
    assert.equal((await call("PUT", vaultOf(name), vault())).status, 201);
  });

  test("a vault with purge protection is never purged, and never loses it", async () => {
    const name = "kvprotected1";
    const { call } = arm;
    const body = vault({ enablePurgeProtection: true, softDeleteRetentionInDays: 7 });
    assert.equal((await call("PUT", vaultOf(name), body)).status, 201);
    assertRefused(
      await call("PUT", vaultOf(name), vault({ enablePurgeProtection: false })),
      400,
      "BadRequest",
    );
    assertRefused(
      await call("PUT", vaultOf(name), vault({ softDeleteRetentionInDays: 90 })),
      400,
      "BadRequest",
    );
    await call("DELETE", vaultOf(name));
    const deleted = `${subscription}/providers/Microsoft.KeyVault/locations/eastus2/deletedVaults/${name}`;
    assertRefused(await call("POST", `${deleted}/purge`), 405, "MethodNotAllowed");
  });
});

const pool = (name: string, vmSize: string): Json => ({
  type: "Microsoft.ContainerService/managedClusters/agentPools",
  apiVersion: "2026-05-01",
  name: `aks/${name}`,
  properties: { vmSize, count: 3 },
});

describe("capacity", () => {
  const validate = async (...resources: readonly Json[]): Promise<Answer> =>
    arm.call(
      "POST",
      `${group}/providers/Microsoft.Resources/deployments/capacity/validate`,
      deployment(template(cluster, ...resources)),
    );
  const cluster = {
    type: "Microsoft.ContainerService/managedClusters",
    apiVersion: "2026-05-01",
    name: "aks",
    location: "eastus2",
    identity: { type: "SystemAssigned" },
    properties: {
      dnsPrefix: "aks",
      agentPoolProfiles: [{ name: "system", mode: "System", count: 1, vmSize: "Standard_D4s_v5" }],
    },
  };

  test("a size that the region lacks, or that is not for this subscription, is refused", async () => {
    assert.equal((await validate(pool("good", "Standard_DC4as_v5"))).status, 200);
    const lacking = await validate(pool("bad", "Standard_NC96_v9"));
    assert.equal(lacking.body.error?.details?.[0]?.code, "SkuNotAvailable");
    twin.base.state.put(SKU_RESTRICTIONS, "eastus2/standard_dc8as_v6", {
      reason: "NotAvailableForSubscription",
    });
    const restricted = await validate(pool("bad", "Standard_DC8as_v6"));
    assert.equal(restricted.body.error?.details?.[0]?.code, "SkuNotAvailable");
    const skus = await arm.call(
      "GET",
      `${subscription}/providers/Microsoft.Compute/skus?$filter=location eq 'eastus2'`.replaceAll(
        " ",
        "%20",
      ),
    );
    const values = skus.body["value"] as readonly { name: string; restrictions: readonly Json[] }[];
    assert.equal(values.find(({ name }) => name === "Standard_DC8as_v6")?.restrictions.length, 1);
  });

  test("a quota is counted over the whole template, and usages say what is used", async () => {
    twin.base.state.put(QUOTAS, "eastus2/standarddcasv5family", { limit: 16 });
    assert.equal((await validate(pool("one", "Standard_DC4as_v5"))).status, 200);
    const over = await validate(pool("one", "Standard_DC4as_v5"), pool("two", "Standard_DC4as_v5"));
    assert.equal(over.body.error?.code, "InvalidTemplateDeployment");
    const [detail] = over.body.error?.details ?? [];
    assert.equal(detail?.code, "QuotaExceeded");
    assert.match(
      detail?.message ?? "",
      /Current Limit: 16, Current Usage: 12, Additional Required: 12/,
    );
    const usages = await arm.call(
      "GET",
      `${subscription}/providers/Microsoft.Compute/locations/eastus2/usages`,
    );
    const values = usages.body["value"] as readonly { name: { value: string }; limit: number }[];
    assert.equal(values.find(({ name }) => name.value === "standardDCASv5Family")?.limit, 16);
  });

  test("a provider that is not registered refuses, until it is", async () => {
    twin.base.state.put(UNREGISTERED, `${twin.subscriptionId}/microsoft.managedidentity`, {
      state: "NotRegistered",
    });
    assertRefused(
      await arm.call("PUT", idOf("unregistered"), identity),
      409,
      "MissingSubscriptionRegistration",
    );
    const register = `${subscription}/providers/Microsoft.ManagedIdentity/register?api-version=2022-12-01`;
    assert.equal((await arm.call("POST", register)).status, 200);
    assert.equal((await arm.call("PUT", idOf("unregistered"), identity)).status, 201);
  });
});
