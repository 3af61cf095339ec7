import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runningTwin } from "../running.ts";
import { armClient } from "./client.ts";

test("what is asked of a subscription that the double does not have is SubscriptionNotFound, whatever it is", async (context) => {
  const twin = await runningTwin(context);
  const arm = await armClient(twin);
  const other = `/subscriptions/${randomUUID()}`;
  const group = `${other}/resourceGroups/rg`;
  const stacks = `${group}/providers/Microsoft.Resources/deploymentStacks/s`;
  for (const [method, path, body] of [
    ["GET", other, undefined],
    ["GET", group, undefined],
    ["PUT", group, { location: "eastus2" }],
    ["GET", `${other}/providers`, undefined],
    ["GET", `${stacks}?api-version=2024-03-01`, undefined],
    ["GET", `${group}/providers/Microsoft.KeyVault/vaults/v`, undefined],
  ] as const) {
    const { status, body: answer } = await arm.call(method, path, body);
    assert.equal(status, 404, `${method} ${path}`);
    assert.equal(answer.error?.code, "SubscriptionNotFound", `${method} ${path}`);
  }
  assert.equal((await arm.call("GET", `/subscriptions/${twin.subscriptionId}`)).status, 200);
});

test("the first start takes the ids that it is given, and later ones keep them", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "ppml twin "));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const ids = {
    subscriptionId: randomUUID(),
    tenantId: randomUUID(),
    ownerObjectId: randomUUID(),
  };
  for (const wanted of [ids, { subscriptionId: randomUUID() }]) {
    const twin = await runningTwin({ after: () => undefined }, { folder, ids: wanted });
    assert.equal(twin.subscriptionId, ids.subscriptionId);
    assert.equal(twin.tenantId, ids.tenantId);
    const { body } = await (await armClient(twin)).call("GET", "/subscriptions");
    assert.deepEqual(
      (body.value as { subscriptionId: string }[]).map(({ subscriptionId }) => subscriptionId),
      [ids.subscriptionId],
    );
    await twin.close();
  }
});
