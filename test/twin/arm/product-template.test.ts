import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { AzureSection } from "../../../src/provision/index.ts";
import { RESOURCES } from "../../../src/twin/state-kinds.ts";
import { checkBicep, loadBicepTypes } from "../../provision/arm-types/bicep-types.ts";
import { sectionOf, templateOf } from "../../provision/azure/sections.ts";
import { sharedPath, skipWithout } from "../../shared-data.ts";
import { runningTwin } from "../running.ts";
import { armClient, deployment } from "./client.ts";
import type { Json } from "./client.ts";

const TYPES = sharedPath("data", "arm", "bicep-types");

const PROFILES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  snp: {},
  tdx: { profile: "tdx", aks: undefined },
  sgx: { profile: "sgx" },
};

type Change = {
  readonly resourceId: string;
  readonly changeType: string;
  readonly delta?: readonly Json[];
};

function changesIn({ properties = {} }: { readonly properties?: Json }): readonly Change[] {
  return properties["changes"] as readonly Change[];
}

for (const [profile, change] of Object.entries(PROFILES))
  describe(`the product's own template, profile ${profile}`, () => {
    test("what-if, deployment, and what-if again", async (t) => {
      const twin = await runningTwin(t);
      const arm = await armClient(twin);
      const section: AzureSection = sectionOf({
        subscription: twin.subscriptionId,
        tenant: twin.tenantId,
        ...change,
      });
      const group = `/subscriptions/${twin.subscriptionId}/resourceGroups/${section.resourceGroup}`;
      assert.equal((await arm.call("PUT", group, { location: section.region })).status, 201);
      const body = deployment(templateOf(section));
      const path = `${group}/providers/Microsoft.Resources/deployments/main`;
      const before = await arm.call("POST", `${path}/whatIf`, body);
      assert.equal(before.status, 200, JSON.stringify(before.body));
      const planned = changesIn(before.body);
      assert.deepEqual([...new Set(planned.map(({ changeType }) => changeType))], ["Create"]);
      const done = await arm.finish("PUT", path, body);
      const { properties = {} } = done.body;
      assert.equal(
        properties["provisioningState"],
        "Succeeded",
        JSON.stringify(properties["error"]),
      );
      for (const { resourceId } of planned)
        assert.notEqual(twin.base.state.get(RESOURCES, resourceId.toLowerCase()), null, resourceId);
      const after = await arm.call("POST", `${path}/whatIf`, body);
      const changes = changesIn(after.body);
      for (const { resourceId, changeType, delta } of changes) {
        if (changeType === "NoChange" || changeType === "Ignore") continue;
        // What what-if cannot know shows as the text of its expression, as in Azure; nothing else does.
        assert.equal(changeType, "Modify", resourceId);
        assert.match(
          JSON.stringify(delta),
          /\[reference\(/,
          `${resourceId}: ${JSON.stringify(delta)}`,
        );
      }
    });
  });

test(
  "Microsoft's type data takes what the double takes",
  { skip: skipWithout(TYPES) },
  async (t) => {
    const types = loadBicepTypes(TYPES ?? "");
    let checked = 0;
    const twin = await runningTwin(t, {
      checkResource: (resource) => {
        checked += 1;
        return checkBicep(types, resource as unknown as Parameters<typeof checkBicep>[1]);
      },
    });
    const arm = await armClient(twin);
    const section = sectionOf({ subscription: twin.subscriptionId, tenant: twin.tenantId });
    const group = `/subscriptions/${twin.subscriptionId}/resourceGroups/${section.resourceGroup}`;
    await arm.call("PUT", group, { location: section.region });
    const path = `${group}/providers/Microsoft.Resources/deployments/main/validate`;
    const good = await arm.call("POST", path, deployment(templateOf(section)));
    assert.equal(good.status, 200, JSON.stringify(good.body));
    assert.ok(checked > 10);
  },
);
