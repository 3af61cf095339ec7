import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { DEPLOYMENTS } from "../../../src/twin/arm/deployments/documents.ts";
import { addFault } from "../../../src/twin/front/faults.ts";
import { RESOURCES } from "../../../src/twin/state-kinds.ts";
import type { Twin, TwinOptions } from "../../../src/twin/start.ts";
import { TwinState } from "../../../src/twin/state.ts";
import { runningTwin } from "../running.ts";
import { armClient, deployment, principalWith, template } from "./client.ts";
import type { ArmClient, Json } from "./client.ts";

type Place = {
  readonly twin: Twin & { readonly log: string[] };
  readonly arm: ArmClient;
  readonly group: string;
};

async function place(t: TestContext, options: Partial<TwinOptions> = {}): Promise<Place> {
  const twin = await runningTwin(t, options);
  const arm = await armClient(twin);
  const group = `/subscriptions/${twin.subscriptionId}/resourceGroups/rg`;
  await arm.call("PUT", group, { location: "eastus2" });
  return { twin, arm, group };
}

const identity = (name: string, more: Json = {}): Json => ({
  type: "Microsoft.ManagedIdentity/userAssignedIdentities",
  apiVersion: "2024-11-30",
  name,
  location: "eastus2",
  properties: {},
  ...more,
});
const idOf = (name: string): string =>
  `[resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', '${name}')]`;
const securityGroup = (name: string): Json => ({
  type: "Microsoft.Network/networkSecurityGroups",
  apiVersion: "2025-07-01",
  name,
  location: "eastus2",
  properties: {},
});
const network = (name: string, group: string, dependsOn: readonly string[]): Json => ({
  type: "Microsoft.Network/virtualNetworks",
  apiVersion: "2025-07-01",
  name,
  location: "eastus2",
  dependsOn,
  properties: {
    addressSpace: { addressPrefixes: ["10.0.0.0/16"] },
    subnets: [
      {
        name: "a",
        properties: {
          addressPrefix: "10.0.0.0/24",
          networkSecurityGroup: {
            id: `[resourceId('Microsoft.Network/networkSecurityGroups', '${group}')]`,
          },
        },
      },
    ],
  },
});

const main = (group: string): string => `${group}/providers/Microsoft.Resources/deployments/main`;
const stackOf = (group: string): string =>
  `${group}/providers/Microsoft.Resources/deploymentStacks/main`;
const stateOf = (body: Json): unknown =>
  (body["properties"] as Json | undefined)?.["provisioningState"];

describe("deployments", () => {
  test("a part that fails leaves the rest made, says why, and the next run finishes", async (t) => {
    const { twin, arm, group } = await place(t);
    addFault(
      twin.base.state,
      {
        service: "arm",
        method: "PUT",
        path: "userAssignedIdentities/two$",
        status: 503,
        remaining: 1,
        retryAfterSeconds: null,
      },
      Date.now(),
    );
    const three = identity("three", {
      dependsOn: ["[resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', 'two')]"],
    });
    const body = deployment(template(identity("one"), identity("two"), three));
    const failed = await arm.finish("PUT", main(group), body);
    assert.equal(stateOf(failed.body), "Failed");
    const error = failed.body.properties?.["error"] as { code: string; details: readonly Json[] };
    assert.equal(error.code, "DeploymentFailed");
    assert.equal(error.details.length, 1);
    const there = (name: string): boolean =>
      twin.base.state.get(
        RESOURCES,
        `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`.toLowerCase(),
      ) !== null;
    assert.deepEqual([there("one"), there("two"), there("three")], [true, false, false]);
    const operations = await arm.call("GET", `${main(group)}/operations`);
    const states = (operations.body["value"] as readonly { properties: Json }[]).map(
      ({ properties }) => properties["provisioningState"],
    );
    assert.deepEqual(new Set(states), new Set(["Failed", "Succeeded"]));
    assert.equal(stateOf((await arm.finish("PUT", main(group), body)).body), "Succeeded");
    assert.deepEqual([there("one"), there("two"), there("three")], [true, true, true]);
  });

  test("a dependency that the template forgets is a failure, in whatever order it stands", async (t) => {
    const { arm, group } = await place(t);
    const forgetful = template(securityGroup("nsg"), network("net", "nsg", []));
    const failed = await arm.finish("PUT", main(group), deployment(forgetful));
    assert.equal(stateOf(failed.body), "Failed");
    assert.match(JSON.stringify(failed.body), /InvalidResourceReference/);
    const { arm: other, group: rg } = await place(t);
    const good = template(
      network("net", "nsg", ["[resourceId('Microsoft.Network/networkSecurityGroups', 'nsg')]"]),
      securityGroup("nsg"),
    );
    assert.equal(
      stateOf((await other.finish("PUT", main(rg), deployment(good))).body),
      "Succeeded",
    );
  });

  test("resources that wait for each other in a circle are refused", async (t) => {
    const { arm, group } = await place(t);
    const circle = template(
      identity("one", { dependsOn: [idOf("two")] }),
      identity("two", { dependsOn: [idOf("one")] }),
    );
    const answer = await arm.finish("PUT", main(group), deployment(circle));
    assert.match(JSON.stringify(answer.body), /Circular dependency/);
  });

  test("states go on step by step; a second run at once is refused; a cancel stops it", async (t) => {
    const { arm, group } = await place(t, { paceMs: 150 });
    const two = identity("two", {
      dependsOn: ["[resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', 'one')]"],
    });
    const body = deployment(template(identity("one"), two));
    const first = await arm.call("PUT", main(group), body);
    assert.equal(first.status, 201);
    assert.equal(stateOf(first.body), "Accepted");
    assert.match(String(first.headers["azure-asyncoperation"]), /operationStatuses/);
    const second = await arm.call("PUT", main(group), body);
    assert.equal(second.status, 409);
    assert.equal(second.body.error?.code, "DeploymentActive");
    await sleep(200);
    assert.equal(stateOf((await arm.call("GET", main(group))).body), "Running");
    assert.equal((await arm.call("POST", `${main(group)}/cancel`)).status, 204);
    await sleep(300);
    const canceled = await arm.call("GET", main(group));
    assert.equal(stateOf(canceled.body), "Canceled");
    const two404 = `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/two`;
    assert.equal((await arm.call("GET", two404)).status, 404);
    assert.equal((await arm.call("POST", `${main(group)}/cancel`)).status, 409);
  });

  test("mode Complete deletes what the template has not, and what-if says so before", async (t) => {
    const { arm, group } = await place(t);
    await arm.finish("PUT", main(group), deployment(template(identity("one"), identity("two"))));
    const body = deployment(template(identity("one")), { mode: "Complete" });
    const planned = await arm.call("POST", `${main(group)}/whatIf`, body);
    const changes = planned.body.properties?.["changes"] as readonly Json[];
    assert.deepEqual(
      changes.map(({ changeType }) => changeType),
      ["NoChange", "Delete"],
    );
    await arm.finish("PUT", main(group), body);
    const two = `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/two`;
    assert.equal((await arm.call("GET", two)).status, 404);
  });

  test("a deployment whose twin is killed in the middle is finished by the next start", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "ppml twin kill "));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const chain = Array.from({ length: 6 }, (_, index) =>
      identity(`id-${index}`, {
        dependsOn:
          index === 0
            ? []
            : [
                `[resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', 'id-${index - 1}')]`,
              ],
      }),
    );
    const child = spawn(process.execPath, ["--input-type=module", "-"], {
      cwd: join(import.meta.dirname, "../../.."),
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin.end(`
      import { startTwin } from "./src/twin/start.ts";
      import { armClient, deployment } from "./test/twin/arm/client.ts";
      const twin = await startTwin({ folder: ${JSON.stringify(folder)}, clock: Date.now, log: () => {}, paceMs: 300 });
      const arm = await armClient(twin);
      const group = "/subscriptions/" + twin.subscriptionId + "/resourceGroups/rg";
      await arm.call("PUT", group, { location: "eastus2" });
      const answer = await arm.call("PUT", group + "/providers/Microsoft.Resources/deployments/main",
        deployment(${JSON.stringify(template(...chain))}));
      console.log(answer.status, group);`);
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const [status, group = ""] = line.toString().trim().split(" ");
    assert.equal(status, "201");
    await sleep(700);
    const ended = once(child, "close");
    child.kill("SIGKILL");
    await ended;
    const key = main(group).toLowerCase();
    {
      using state = TwinState.open(join(folder, "state.db"));
      assert.equal(state.get(DEPLOYMENTS, key)?.state, "Running");
      const made = state.list(RESOURCES, { prefix: `${group.toLowerCase()}/` }).length;
      assert.ok(made > 0 && made < 6, `${made}`);
    }
    const twin = await runningTwin(t, { folder });
    const { state } = twin.base;
    for (let tries = 0; state.get(DEPLOYMENTS, key)?.state === "Running" && tries < 200; tries += 1)
      await sleep(20);
    assert.equal(state.get(DEPLOYMENTS, key)?.state, "Succeeded");
    assert.equal(state.list(RESOURCES, { prefix: `${group.toLowerCase()}/` }).length, 6);
  });
});

const stack = (of: Json, more: Json = {}): Json => ({
  properties: {
    template: of,
    actionOnUnmanage: { resources: "delete", resourceGroups: "detach" },
    denySettings: { mode: "none" },
    ...more,
  },
});

describe("deployment stacks", () => {
  test("T255: deny settings refuse even an owner, but not who is excluded", async (t) => {
    const { twin, arm, group } = await place(t);
    const excluded = principalWith(twin, ["Owner", `/subscriptions/${twin.subscriptionId}`]);
    const deny = {
      denySettings: { mode: "denyDelete", excludedPrincipals: [excluded.objectId] },
    };
    const made = await arm.finish("PUT", stackOf(group), stack(template(identity("one")), deny));
    assert.equal(stateOf(made.body), "succeeded");
    const one = `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one`;
    const denied = await arm.call("DELETE", one);
    assert.equal(denied.status, 403);
    assert.equal(denied.body.error?.code, "DenyAssignmentAuthorizationFailed");
    assert.equal((await (await armClient(twin, excluded)).call("DELETE", one)).status, 200);
  });

  test("what others still use cannot be deleted, stays managed, and is tried again", async (t) => {
    const { arm, group } = await place(t);
    await arm.finish("PUT", stackOf(group), stack(template(securityGroup("nsg"))));
    // Somebody else puts the group to use.
    const outside = deployment(template(network("net", "nsg", [])));
    assert.equal(stateOf((await arm.finish("PUT", main(group), outside)).body), "Succeeded");
    const failed = await arm.finish("PUT", stackOf(group), stack(template(identity("one"))));
    assert.equal(stateOf(failed.body), "failed");
    assert.match(JSON.stringify(failed.body), /InUseNetworkSecurityGroupCannotBeDeleted/);
    const net = `${group}/providers/Microsoft.Network/virtualNetworks/net`;
    assert.equal((await arm.call("DELETE", net)).status, 200);
    const done = await arm.finish("PUT", stackOf(group), stack(template(identity("one"))));
    assert.equal(stateOf(done.body), "succeeded");
    const deleted = done.body.properties?.["deletedResources"] as readonly { id: string }[];
    assert.deepEqual(
      deleted.map(({ id }) => id.split("/").at(-1)),
      ["nsg"],
    );
  });

  test("one that fails is run again; two at once are refused; a detach leaves all there", async (t) => {
    const { twin, arm, group } = await place(t, { paceMs: 60 });
    const body = stack(template(identity("one"), identity("two")));
    const first = await arm.call("PUT", stackOf(group), body);
    assert.equal(first.status, 201);
    const second = await arm.call("PUT", stackOf(group), body);
    assert.equal(second.body.error?.code, "DeploymentStackInNonTerminalState");
    while (
      !["succeeded", "failed"].includes(
        String(stateOf((await arm.call("GET", stackOf(group))).body)),
      )
    )
      await sleep(20);
    const gone = await arm.finish("DELETE", `${stackOf(group)}?unmanageAction.Resources=detach`);
    assert.ok(gone.status === 200 || gone.status === 204);
    assert.equal((await arm.call("GET", stackOf(group))).status, 404);
    const prefix = `${group.toLowerCase()}/`;
    assert.equal(twin.base.state.list(RESOURCES, { prefix }).length, 2);
  });
});
