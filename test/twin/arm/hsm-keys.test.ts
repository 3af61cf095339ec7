import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { before, describe, test } from "node:test";
import { TWIN } from "../../../src/twin/state-kinds.ts";
import type { PrincipalDocument } from "../../../src/twin/state-kinds.ts";
import type { Twin } from "../../../src/twin/start.ts";
import { runningTwin } from "../running.ts";
import { armClient, caller, deployment, principalWith, template } from "./client.ts";
import type { ArmClient, Json } from "./client.ts";

const HOST = "ppml-hsm.managedhsm.azure.net";
const SETTING = "/settings/AllowKeyManagementOperationsThroughARM?api-version=7.6";
const DOWNLOAD = "/securitydomain/download?api-version=7.5";
const POLICY = {
  version: "1.0.0",
  anyOf: [{ authority: "https://a.attest.azure.net", allOf: [{ claim: "c", equals: "d" }] }],
};
const exportable = {
  kty: "RSA-HSM",
  keySize: 3072,
  keyOps: ["wrapKey"],
  attributes: { enabled: true, exportable: true },
  release_policy: { data: Buffer.from(JSON.stringify(POLICY)).toString("base64url") },
};
const unwrapOnly = {
  kty: "RSA-HSM",
  keySize: 3072,
  keyOps: ["wrapKey", "unwrapKey"],
  attributes: { enabled: true, exportable: false },
};

function certificates(count: number, bits = 2048): readonly Json[] {
  return Array.from({ length: count }, () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: bits });
    const { n, e } = publicKey.export({ format: "jwk" });
    const thumbprint = randomBytes(32).toString("base64url");
    const of = { kty: "RSA", key_ops: ["encrypt", "wrapKey"], alg: "RSA-OAEP-256" };
    return { ...of, n, e, x5c: ["AAAA"], "x5t#S256": thumbprint };
  });
}

let twin: Twin;
let arm: ArmClient;
let owner: ArmClient["call"];
let id = "";

const asUser = (principal: PrincipalDocument) =>
  caller(twin, { host: HOST, resource: "https://managedhsm.azure.net" }, principal);
const putKey = (name: string, properties: Json) =>
  arm.call("PUT", `${id}/keys/${name}`, { properties, tags: { "ppml-use": "x" } });
const activation = async () => {
  const { body } = await arm.call("GET", id);
  const domain = body.properties?.["securityDomainProperties"] as Json | undefined;
  return domain?.["activationStatus"];
};

before(async (context) => {
  assert.ok("after" in context);
  twin = await runningTwin(context);
  arm = await armClient(twin);
  owner = await caller(twin, { host: HOST, resource: "https://managedhsm.azure.net" });
  const group = `/subscriptions/${twin.subscriptionId}/resourceGroups/rg`;
  await arm.call("PUT", group, { location: "eastus2" });
  id = `${group}/providers/Microsoft.KeyVault/managedHSMs/ppml-hsm`;
  const made = await arm.finish("PUT", id, hsm());
  assert.equal(made.status, 200, JSON.stringify(made.body));
});

const hsm = () => ({
  location: "eastus2",
  sku: { family: "B", name: "Standard_B1" },
  properties: {
    tenantId: twin.tenantId,
    initialAdminObjectIds: [twin.base.state.get(TWIN, "twin")?.ownerObjectId],
    enablePurgeProtection: true,
  },
});

describe("a Managed HSM at the double of ARM", () => {
  test("before its activation it takes no key, by ARM or itself, no role and no setting", async () => {
    assert.equal(await activation(), "NotActivated");
    for (const { status, body } of [
      await putKey("kek", unwrapOnly),
      await owner("POST", "/keys/kek/create?api-version=7.6", { kty: "RSA-HSM" }),
      await owner("PATCH", SETTING, { value: "true" }),
      await owner(
        "PUT",
        `/keys/providers/Microsoft.Authorization/roleAssignments/${randomUUID()}?api-version=7.6`,
        {},
      ),
    ]) {
      assert.equal(status, 403, JSON.stringify(body));
      assert.match(body.error?.message ?? "", /until it is activated/);
    }
    assert.equal((await arm.call("GET", `${id}/keys/kek`)).status, 404);
  });

  test("a deployment with a key of it fails, by that key, with Azure's words", async () => {
    const resource = {
      type: "Microsoft.KeyVault/managedHSMs/keys",
      apiVersion: "2026-02-01",
      name: "ppml-hsm/kek",
      properties: unwrapOnly,
    };
    const path = id.replace(/providers\/.*/, "providers/Microsoft.Resources/deployments/keys");
    const { body } = await arm.finish("PUT", path, deployment(template(resource)));
    assert.equal(body.properties?.["provisioningState"], "Failed");
    const text = JSON.stringify(body.properties?.["error"]);
    assert.match(text, /"code":"Forbidden"/);
    assert.match(text, /download the security domain/);
  });

  test("only its administrators download the security domain, under three good keys and a quorum", async () => {
    const body = { certificates: certificates(3), required: 2 };
    const stranger = await asUser(principalWith(twin));
    assert.equal((await stranger("POST", DOWNLOAD, body)).status, 403);
    const [first = {}] = body.certificates;
    for (const bad of [
      { certificates: certificates(2), required: 2 },
      { ...body, required: 1 },
      { ...body, required: 4 },
      { ...body, certificates: certificates(3, 1024) },
      { ...body, certificates: [first, first, first] },
    ])
      assert.equal((await owner("POST", DOWNLOAD, bad)).status, 400);
    assert.equal((await owner("GET", DOWNLOAD.replace("?", "/pending?"))).status, 404);
    assert.equal(await activation(), "NotActivated");
  });

  test("the download activates it, and ARM shows that; another PUT leaves it so", async () => {
    const answer = await owner("POST", DOWNLOAD, { certificates: certificates(3), required: 2 });
    assert.equal(answer.status, 202);
    const value = JSON.parse(String((answer.body as Json)["value"])) as Json;
    assert.match(String(value["simulated"]), /holds no key/);
    const poll = String(answer.headers["azure-asyncoperation"]).replace(`https://${HOST}`, "");
    assert.equal((await owner("GET", poll)).body.status, "Success");
    assert.equal(await activation(), "Active");
    await arm.finish("PUT", id, { ...hsm(), tags: { a: "b" } });
    assert.equal(await activation(), "Active");
  });

  test("ARM makes keys there only where an administrator trusts it to", async () => {
    const refused = await putKey("kek", unwrapOnly);
    assert.equal(refused.status, 400);
    assert.match(refused.body.error?.message ?? "", /AllowKeyManagementOperationsThroughARM/);
    const stranger = await asUser(principalWith(twin));
    assert.equal((await stranger("PATCH", SETTING, { value: "true" })).status, 403);
    assert.equal((await owner("PATCH", SETTING, { value: "TRUE" })).status, 400);
    assert.equal((await owner("PATCH", SETTING.replace("Allow", "X"), {})).status, 404);
    assert.equal(
      (await owner("PATCH", SETTING, { value: "true" })).status,
      200,
      "the administrator may",
    );
    const { body } = await owner("GET", "/settings?api-version=7.6");
    assert.match(JSON.stringify(body), /"type":"boolean","value":"true"/);
  });

  test("keys of another kind, or exportable ones without a policy, are refused", async () => {
    const { release_policy: _, ...without } = exportable;
    for (const [properties, says] of [
      [{ ...unwrapOnly, kty: "RSA" }, /Managed HSM/],
      [{ ...unwrapOnly, kty: "EC", keySize: undefined }, /Managed HSM/],
      [without, /AKV\.SKR\.1004/],
      [{ ...unwrapOnly, release_policy: exportable.release_policy }, /AKV\.SKR\.1005/],
    ] as const) {
      const { status, body } = await putKey("bad", properties);
      assert.equal(status, 400, JSON.stringify(body));
      assert.match(body.error?.message ?? "", says);
    }
    assert.equal((await arm.call("GET", `${id}/keys/bad`)).status, 404);
  });

  test("what ARM makes is a key of the HSM's own, used by its own roles and operations", async () => {
    const made = await putKey("direct", exportable);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    assert.equal(made.body.properties?.["keyUri"], `https://${HOST}/keys/direct`);
    assert.equal((await putKey("kek", unwrapOnly)).status, 201);
    assert.equal((await arm.call("GET", `${id}/keys/kek`)).status, 200);
    const principal = principalWith(twin);
    const broker = await asUser(principal);
    const kek = { alg: "RSA-OAEP-256", value: randomBytes(32).toString("base64url") };
    assert.equal((await broker("POST", "/keys/kek/x/wrapkey?api-version=7.6", kek)).status, 403);
    const assigned = await owner(
      "PUT",
      `/keys/kek/providers/Microsoft.Authorization/roleAssignments/${randomUUID()}?api-version=7.6`,
      {
        properties: {
          principalId: principal.objectId,
          roleDefinitionId: "x/33413926-3206-4cdd-b39a-83574fe37a17",
        },
      },
    );
    assert.equal(assigned.status, 201);
    const shown = await broker("GET", "/keys/kek?api-version=7.6");
    const { kid = "" } = (shown.body as { readonly key?: { readonly kid?: string } }).key ?? {};
    const path = kid.replace(`https://${HOST}`, "");
    const wrapped = await broker("POST", `${path}/wrapkey?api-version=7.6`, kek);
    const { value } = wrapped.body as Json;
    const opened = await broker("POST", `${path}/unwrapkey?api-version=7.6`, { ...kek, value });
    assert.equal((opened.body as Json)["value"], kek.value);
    // At its own key alone.
    assert.equal((await broker("GET", "/keys/direct?api-version=7.6")).status, 403);
  });

  test("deleted and recovered, it is activated still", async () => {
    await arm.finish("DELETE", id);
    assert.equal((await arm.call("GET", id)).status, 404);
    const again = hsm();
    const properties = { ...again.properties, createMode: "recover" };
    await arm.finish("PUT", id, { ...again, properties });
    assert.equal(await activation(), "Active");
    assert.equal((await arm.call("GET", `${id}/keys/kek`)).status, 200);
  });
});
