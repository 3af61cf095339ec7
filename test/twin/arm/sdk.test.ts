import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { RESOURCES } from "../../../src/twin/state-kinds.ts";
import type { Twin } from "../../../src/twin/start.ts";
import { runInTwin, runningTwin } from "../running.ts";
import type { Said } from "../running.ts";
import { template } from "./client.ts";
import type { Json } from "./client.ts";

let twin: Twin & { readonly log: string[] };

before(async (context) => {
  assert.ok("after" in context);
  twin = await runningTwin(context);
});

const identity = (name: string): Json => ({
  type: "Microsoft.ManagedIdentity/userAssignedIdentities",
  apiVersion: "2024-11-30",
  name,
  location: "eastus2",
  properties: {},
});

const account = (name: string, more: Json = {}): Json => ({
  type: "Microsoft.Storage/storageAccounts",
  apiVersion: "2026-04-01",
  name,
  location: "eastus2",
  kind: "StorageV2",
  sku: { name: "Standard_LRS" },
  properties: { isHnsEnabled: true, allowSharedKeyAccess: false, ...more },
});

const PRELUDE = `
  import { DeploymentsClient } from "@azure/arm-resourcesdeployments";
  import { DeploymentStacksClient } from "@azure/arm-resourcesdeploymentstacks";
  import { DefaultAzureCredential } from "@azure/identity";
  const { GROUP: group, TEMPLATE, OTHER } = process.env;
  const subscription = process.env.AZURE_SUBSCRIPTION_ID;
  const credential = new DefaultAzureCredential();
  const { deployments, deploymentOperations } = new DeploymentsClient(credential, subscription);
  const stacks = new DeploymentStacksClient(credential, subscription).deploymentStacks;
  const template = JSON.parse(TEMPLATE ?? "null"), other = JSON.parse(OTHER ?? "null");
  const properties = (of) => ({ mode: "Incremental", template: of });
  const say = (value) => console.log(JSON.stringify(value));
  const fast = { updateIntervalInMs: 20 };
`;

async function sdk(
  program: string,
  environment: Readonly<Record<string, string>>,
): Promise<unknown> {
  const said: Said = await runInTwin(twin, `${PRELUDE}${program}`, environment);
  assert.equal(said.code, 0, said.stderr);
  return JSON.parse(said.stdout);
}

function makeGroup(name: string): void {
  const id = `/subscriptions/${twin.subscriptionId}/resourceGroups/${name}`;
  twin.base.state.put(RESOURCES, id.toLowerCase(), {
    id,
    name,
    type: "Microsoft.Resources/resourceGroups",
    location: "eastus2",
    tags: {},
    properties: { provisioningState: "Succeeded" },
  });
}

describe("the official deployments SDK", () => {
  test("validates, plans, deploys with operations, and finds nothing to change afterwards", async () => {
    makeGroup("rg-sdk");
    const result = await sdk(
      `const types = async () => (await deployments.whatIf(group, "main", { properties: properties(template) }, fast))
         .changes.map(({ changeType }) => changeType);
       const valid = await deployments.validate(group, "main", { properties: properties(template) }, fast);
       const first = await types();
       const made = await deployments.createOrUpdate(group, "main", { properties: properties(template) }, fast);
       const steps = [];
       for await (const step of deploymentOperations.list(group, "main")) steps.push(step.properties.provisioningState);
       say({ valid: valid.properties.provisioningState, first, state: made.properties.provisioningState,
         outputs: made.properties.outputs, steps, again: await types() });`,
      {
        GROUP: "rg-sdk",
        TEMPLATE: JSON.stringify({
          ...template(identity("one"), account("sdkaccount1")),
          outputs: {
            endpoint: {
              type: "string",
              value:
                "[reference(resourceId('Microsoft.Storage/storageAccounts', 'sdkaccount1'), '2026-04-01').primaryEndpoints.dfs]",
            },
          },
        }),
      },
    );
    assert.deepEqual(result, {
      valid: "Succeeded",
      first: ["Create", "Create"],
      state: "Succeeded",
      outputs: { endpoint: { type: "string", value: "https://sdkaccount1.dfs.core.windows.net/" } },
      steps: ["Succeeded", "Succeeded"],
      again: ["NoChange", "NoChange"],
    });
  });

  test("sees exactly what changes, and what the template no longer says", async () => {
    makeGroup("rg-delta");
    const result = await sdk(
      `await deployments.createOrUpdate(group, "main", { properties: properties(template) }, fast);
       const { changes } = await deployments.whatIf(group, "main", { properties: properties(other) }, fast);
       say(changes.map(({ resourceId, changeType, delta }) => ({ name: resourceId.split("/").at(-1), changeType,
         delta: (delta ?? []).map(({ path, propertyChangeType, before, after }) => ({ path, propertyChangeType, before, after })) })));`,
      {
        GROUP: "rg-delta",
        TEMPLATE: JSON.stringify(
          template(identity("gone"), account("deltaaccount1", { minimumTlsVersion: "TLS1_2" })),
        ),
        OTHER: JSON.stringify(
          template({
            ...account("deltaaccount1", { allowSharedKeyAccess: true }),
            tags: { a: "b" },
          }),
        ),
      },
    );
    assert.deepEqual(result, [
      {
        name: "deltaaccount1",
        changeType: "Modify",
        delta: [
          {
            path: "properties.allowSharedKeyAccess",
            propertyChangeType: "Modify",
            before: false,
            after: true,
          },
          { path: "properties.minimumTlsVersion", propertyChangeType: "Delete", before: "TLS1_2" },
          { path: "tags.a", propertyChangeType: "Create", after: "b" },
        ],
      },
      { name: "gone", changeType: "Ignore", delta: [] },
    ]);
  });

  test("a deployment of the subscription makes the group and what is in it", async () => {
    const nested = {
      type: "Microsoft.Resources/deployments",
      apiVersion: "2025-04-01",
      name: "inner",
      resourceGroup: "rg-from-template",
      dependsOn: [`/subscriptions/${twin.subscriptionId}/resourceGroups/rg-from-template`],
      properties: {
        mode: "Incremental",
        expressionEvaluationOptions: { scope: "inner" },
        parameters: { name: { value: "inside" } },
        template: {
          ...template({ ...identity("x"), name: "[parameters('name')]" }),
          parameters: { name: { type: "string" } },
        },
      },
    };
    const group = {
      type: "Microsoft.Resources/resourceGroups",
      apiVersion: "2024-11-01",
      name: "rg-from-template",
      location: "eastus2",
    };
    const result = await sdk(
      `const body = { location: "eastus2", properties: properties(template) };
       const { changes } = await deployments.whatIfAtSubscriptionScope("sub", body, fast);
       const made = await deployments.createOrUpdateAtSubscriptionScope("sub", body, fast);
       say([changes.map(({ changeType }) => changeType), made.properties.provisioningState]);`,
      { TEMPLATE: JSON.stringify(template(group, nested)) },
    );
    assert.deepEqual(result, [["Create", "Create"], "Succeeded"]);
    const id = `/subscriptions/${twin.subscriptionId}/resourceGroups/rg-from-template/providers/Microsoft.ManagedIdentity/userAssignedIdentities/inside`;
    assert.notEqual(twin.base.state.get(RESOURCES, id.toLowerCase()), null);
  });
});

describe("the official deployment stacks SDK", () => {
  const settings = `actionOnUnmanage: { resources: "delete", resourceGroups: "detach" }, denySettings: { mode: "none" }`;

  test("applies, lets go of what the template has no more, and deletes", async () => {
    makeGroup("rg-stack");
    const result = await sdk(
      `const put = (of) => stacks.beginCreateOrUpdateAtResourceGroupAndWait(group, "main",
         { properties: { template: of, ${settings} } }, fast);
       const names = (list) => list.map(({ id }) => id.split("/").at(-1));
       const first = await put(template);
       const second = await put(other);
       await stacks.beginDeleteAtResourceGroupAndWait(group, "main",
         { unmanageActionResources: "delete", unmanageActionResourceGroups: "detach", ...fast });
       const gone = await stacks.getAtResourceGroup(group, "main").then(() => "there", ({ statusCode }) => statusCode);
       say({ first: [first.provisioningState ?? first.properties?.provisioningState, names((first.properties ?? first).resources)],
         deleted: names((second.properties ?? second).deletedResources), kept: names((second.properties ?? second).resources), gone });`,
      {
        GROUP: "rg-stack",
        TEMPLATE: JSON.stringify(template(identity("one"), identity("two"))),
        OTHER: JSON.stringify(template(identity("one"))),
      },
    );
    assert.deepEqual(result, {
      first: ["succeeded", ["one", "two"]],
      deleted: ["two"],
      kept: ["one"],
      gone: 404,
    });
    const prefix = `/subscriptions/${twin.subscriptionId}/resourcegroups/rg-stack/`;
    assert.deepEqual(twin.base.state.list(RESOURCES, { prefix }), []);
  });
});
