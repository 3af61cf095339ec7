import assert from "node:assert/strict";
import { test } from "node:test";
import {
  judgeAzureClock,
  judgeName,
  judgePermissions,
  judgeQuotas,
  judgeRetirements,
  judgeSkus,
} from "../../src/cli/doctor/azure-judge.ts";
import { judgePlaces, judgeRegion } from "../../src/cli/doctor/azure-region.ts";
import type { ArmResource } from "../../src/provision/azure/arm/resource.ts";
import type { SkuFacts } from "../../src/cli/doctor/azure-judge.ts";

const DEMAND = [
  { size: "Standard_DC8as_v6", count: 1, what: "client VM" },
  { size: "Standard_DC8as_v5", count: 3, what: "confidential nodes" },
] as const;

const sku = (name: string, change: Partial<SkuFacts> = {}): SkuFacts => ({
  name,
  family: "standardDCASv5Family",
  vcpus: 8,
  restrictions: [],
  ...change,
});

test("a region without a size is a failure that names sizes of the same TEE that are there", () => {
  const [first, second] = judgeSkus(
    DEMAND,
    [sku("Standard_DC8as_v5"), sku("Standard_D4s_v5")],
    "x",
  );
  assert.equal(first?.status, "fail");
  assert.match(first.remedy ?? "", /Standard_DC8as_v5$/);
  assert.equal(second?.status, "ok");
});

test("a size that is closed to the subscription is a failure that says why", () => {
  const closed = sku("Standard_DC8as_v6", { restrictions: ["NotAvailableForSubscription"] });
  const [first] = judgeSkus(DEMAND.slice(0, 1), [closed], "x");
  assert.match(first?.found ?? "", /NotAvailableForSubscription/);
});

test("quotas are judged by the sum of all machines of a family", () => {
  const skus = [sku("Standard_DC8as_v6"), sku("Standard_DC8as_v5")];
  const judge = (used: number, limit: number) =>
    judgeQuotas(DEMAND, { skus, quotas: [{ family: "standardDCASv5Family", used, limit }] })[0];
  assert.equal(judge(0, 32)?.status, "ok");
  assert.equal(judge(1, 32)?.status, "fail");
  assert.match(judge(1, 32)?.found ?? "", /32 vCPUs needed, 31 of 32 free/);
  assert.equal(judgeQuotas(DEMAND, { skus, quotas: [] })[0]?.status, "warn");
});

test("SGX sizes are warned of, and failed once they are retired", () => {
  const demand = [{ size: "Standard_DC8s_v3", count: 1, what: "client VM" }] as const;
  const at = (date: string) => judgeRetirements(demand, Date.parse(date))[0];
  assert.equal(at("2026-10-01")?.status, "warn");
  assert.doesNotMatch(at("2026-10-01")?.found ?? "", /closed/);
  assert.match(at("2026-11-27")?.found ?? "", /closed to new subscriptions since 2026-11-01/);
  assert.equal(at("2029-10-31")?.status, "fail");
  assert.deepEqual(judgeRetirements(DEMAND, Date.parse("2030-01-01")), []);
});

test("permissions are judged by Azure's wildcards, and by what is taken away", () => {
  const needed = [
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Authorization/roleAssignments/write",
  ];
  const contributor = {
    actions: ["*"],
    notActions: ["Microsoft.Authorization/*/Write", "Microsoft.Authorization/*/Delete"],
  };
  const found = judgePermissions(needed, [contributor], "rg");
  assert.equal(found.status, "fail");
  assert.match(found.found, /missing on rg: Microsoft\.Authorization\/roleAssignments\/write$/);
  assert.match(found.remedy ?? "", /Role Based Access Control Administrator/);
  const administrator = { actions: ["Microsoft.Authorization/roleAssignments/*"], notActions: [] };
  assert.equal(judgePermissions(needed, [contributor, administrator], "rg").status, "ok");
  assert.equal(judgePermissions(needed, [], "rg").status, "fail");
});

test("a clock that is minutes away from Azure's is a failure", () => {
  const seconds = [0, 60, -61, 300, 301, -301];
  assert.deepEqual(
    seconds.map((one) => judgeAzureClock(one * 1000, 0).status),
    ["ok", "ok", "warn", "warn", "fail", "fail"],
  );
});

test("a name that is taken, or soft-deleted, has a remedy", () => {
  const about = { what: "a vault", name: "v", key: "azure.keyVault.name" };
  assert.equal(judgeName({ ...about, state: "ours" }).status, "ok");
  assert.equal(judgeName({ ...about, state: "free" }).status, "ok");
  assert.match(judgeName({ ...about, state: "taken" }).remedy ?? "", /azure\.keyVault\.name/);
  assert.match(judgeName({ ...about, state: "soft-deleted" }).remedy ?? "", /recover: true/);
});

test("a region that the subscription has not is a failure, with the nearest name and the list", () => {
  const names = ["westeurope", "eastus", "eastus2"];
  assert.equal(judgeRegion("eastus2", names).status, "ok");
  const mars = judgeRegion("mars", names);
  assert.equal(mars.status, "fail");
  assert.match(mars.remedy ?? "", /^set azure\.region: eastus, eastus2, westeurope$/);
  assert.match(judgeRegion("westeurop", names).remedy ?? "", /did you mean westeurope\?/);
});

test("a group elsewhere is to be looked at, and resources elsewhere are a failure", () => {
  const section = { region: "eastus2", resourceGroup: "rg" };
  const type = "Microsoft.KeyVault/vaults" as const;
  const vault: ArmResource = {
    type,
    apiVersion: "1",
    name: "v",
    location: "eastus2",
    properties: {},
  };
  const judge = (group: string, ...locations: readonly string[]) =>
    judgePlaces({
      section,
      template: { resources: [vault] },
      group,
      placed: locations.map((location) => ({ type: type.toLowerCase(), name: "V", location })),
    })[0];
  assert.equal(judge("eastus2", "eastus2")?.status, "ok");
  assert.equal(judge("westus")?.status, "warn");
  assert.match(judge("westus")?.found ?? "", /in westus, and azure\.region says eastus2/);
  const moved = judge("westus", "westus");
  assert.equal(moved?.status, "fail");
  assert.match(moved.remedy ?? "", /set azure\.region: westus/);
});
