import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, test } from "node:test";
import { addFault, FAULTS } from "../../src/twin/front/faults.ts";
import { QUOTAS, SKU_RESTRICTIONS } from "../../src/twin/arm/capacity.ts";
import { RESOURCES } from "../../src/twin/state-kinds.ts";
import { armClient } from "../twin/arm/client.ts";
import { errorOf, type Site, siteIn } from "../provision/azure/in-twin.ts";
import { FULL, sectionOf, templateOf } from "../provision/azure/sections.ts";

const resourcesIn = ({ twin }: Site, part = "") =>
  twin.base.state
    .list(RESOURCES)
    .map(({ document }) => document.id.toLowerCase())
    .filter((id) => id.includes("/resourcegroups/bigdl-rg-es2-test/providers/"))
    .filter((id) => id.includes(part.toLowerCase()));

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- what is read is compared
const json = <T>(text: string | undefined): T => JSON.parse(text ?? "null") as T;

const names = (text: string | undefined) =>
  json<{ changes: { name: string; action: string }[] }>(text).changes.map(
    ({ name, action }) => `${action} ${name}`,
  );

describe("ppml azure, in the double of Azure", () => {
  test("plan, apply, plan again without changes, up, status, credentials, doctor", async (context) => {
    const site = await siteIn(context);
    const [plan, apply, again, up, status, credentials, doctor] = await site.run(
      "azure plan --out plan.json --detailed-exitcode",
      "azure apply plan.json --yes --json",
      "azure plan --detailed-exitcode --json",
      "up --json",
      "azure status --json",
      "aks credentials --json",
      "doctor azure --json",
    );
    assert.equal(plan?.code, 2, plan?.stderr);
    assert.match(plan.stdout, /\+ resource group bigdl-rg-es2-test/);
    const applied = json<{ how: string; settledKeks: string[]; outputs: Record<string, string> }>(
      apply?.stdout,
    );
    assert.equal(apply?.code, 0, apply?.stdout);
    assert.equal(applied.how, "applied");
    assert.deepEqual(applied.settledKeks, ["input-direct"]);
    assert.match(applied.outputs["sparkClientId"] ?? "", /^[0-9a-f-]{36}$/);
    assert.match(apply.stderr, /succeeded +Microsoft.ContainerService\/managedClusters ppml-aks/);
    assert.equal(again?.code, 0);
    assert.deepEqual(json<{ changes: object[] }>(again.stdout).changes, []);
    assert.equal(json<{ how: string }>(up?.stdout).how, "nothing-to-do");
    const { state, resources } = json<{ state: string; resources: object[] }>(status?.stdout);
    assert.equal(state, "succeeded");
    const made = resourcesIn(site).filter((id) => !id.includes("/secrets/"));
    assert.equal(resources.length, made.length);
    const kubeconfig = readFileSync(join(site.cwd, ".ppml/kubeconfig"), "utf8");
    assert.equal(credentials?.code, 0);
    assert.match(kubeconfig, /kubelogin/);
    const { findings } = json<{ findings: { check: string; status: string }[] }>(doctor?.stdout);
    assert.deepEqual(
      findings.filter((one) => one.status !== "ok"),
      [],
    );
  });

  test("T227: destroy keeps vault and data; named, they go, and the vault can be brought back", async (context) => {
    const site = await siteIn(context);
    const [, destroy, status, up, all, failed, doctor] = await site.run(
      "up --yes",
      "azure destroy --yes --json",
      "azure status --json",
      "up --yes --json",
      "azure destroy --yes --delete-vault ppml-demo-vault --delete-data ppmldemolake",
      "up --yes --json",
      "doctor azure --json",
    );
    assert.equal(destroy?.code, 0, destroy?.stdout);
    const { kept } = json<{ kept: string[] }>(destroy.stdout);
    assert.equal(kept.length, 6);
    assert.ok(kept.every((id) => /ppml-demo-vault|ppmldemolake/.test(id)));
    assert.equal(json<{ state: null }>(status?.stdout).state, null);
    assert.equal(up?.code, 0, up?.stdout);
    assert.equal(all?.code, 0, all?.stderr);
    assert.match(errorOf(failed).message, /keyVault\.recover: true/);
    assert.match(doctor?.stdout ?? "", /was deleted and can still be recovered/);
    site.write({ keyVault: { ...FULL.keyVault, recover: true } });
    const [recovered] = await site.run("up --yes --json");
    assert.equal(recovered?.code, 0, recovered?.stdout);
  });

  test("T224: what somebody changed by hand is seen, an older plan refused, and a login that may not told so", async (context) => {
    const site = await siteIn(context);
    await site.run("up --yes");
    site.write({ aks: { nodeCount: 4 } });
    const [planned] = await site.run("azure plan --out plan.json --json");
    assert.deepEqual(names(planned?.stdout), ["modify ppml-aks/confidential"]);
    const arm = await armClient(site.twin);
    const section = sectionOf({ subscription: site.twin.subscriptionId });
    const account = templateOf(section).resources.find(({ name }) => name === "ppmldemolake");
    assert.ok(account !== undefined);
    const { location, kind, sku, tags, properties } = account;
    const [id = ""] = resourcesIn(site, "/storageaccounts/ppmldemolake");
    const body = {
      location,
      kind,
      sku,
      tags,
      properties: { ...properties, minimumTlsVersion: "TLS1_0" },
    };
    const { status, body: answer } = await arm.finish("PUT", `${id}?api-version=2026-04-01`, body);
    assert.ok(status < 300, JSON.stringify(answer));
    const [refused, second] = await site.run(
      "azure apply plan.json --yes --json",
      "azure plan --json",
    );
    assert.equal(errorOf(refused).code, "provision.plan_stale");
    assert.match(errorOf(refused).message, /ppmldemolake: not in the plan/);
    assert.ok(names(second?.stdout).includes("modify ppmldemolake"), second?.stdout);

    const [plan, doctor] = await site.runAs(
      "ppml-spark",
      "azure plan --json",
      "doctor azure --json",
    );
    assert.match(errorOf(plan).code, /azure\.denied|provision\.failed/);
    assert.match(errorOf(plan).message, /permission|role/);
    assert.equal(doctor?.code, 1, doctor?.stdout);
  });

  test("a quota that is exceeded, and a size that the region has not: what to do, then the rest", async (context) => {
    const site = await siteIn(context);
    const { state } = site.twin.base;
    state.put(QUOTAS, "eastus2/standarddcasv5family", { limit: 8 });
    state.put(SKU_RESTRICTIONS, "eastus2/standard_dc8as_v6", {
      reason: "NotAvailableForSubscription",
    });
    const [failed, doctor] = await site.run("up --yes --json", "doctor azure --json");
    assert.match(errorOf(failed).message, /quota|not available/i);
    assert.match(errorOf(failed).message, /azure\.(?:region|vm\.size)|ask for more/);
    const { findings } = json<{ findings: { check: string; status: string }[] }>(doctor?.stdout);
    const fails = findings.filter((one) => one.status === "fail").map(({ check }) => check);
    assert.deepEqual(fails, ["size Standard_DC8as_v6", "quota standardDCASv5Family"]);
    state.put(QUOTAS, "eastus2/standarddcasv5family", { limit: 100 });
    site.write({ vm: { sshPublicKeyFile: "keys/client.pub", size: "Standard_DC8as_v5" } });
    const [up] = await site.run("up --yes --json");
    assert.equal(up?.code, 0, up?.stdout);
  });

  test("a region that does not exist, or is not the group's, is told before a plan is made", async (context) => {
    const site = await siteIn(context);
    site.write({ region: "mars" });
    const failsOf = async () => {
      const [doctor] = await site.run("doctor azure --json");
      const { findings } = json<{
        findings: { check: string; status: string; remedy?: string }[];
      }>(doctor?.stdout);
      const fails = findings.filter(({ status }) => status === "fail");
      assert.equal(doctor?.code, 1);
      return fails.map(({ check, remedy }) => `${check}: ${remedy ?? ""}`);
    };
    const [mars, ...others] = await failsOf();
    assert.deepEqual(others, []);
    assert.match(mars ?? "", /^region mars: set azure\.region: centralus, eastus, eastus2, /);
    site.write();
    await site.run("up --yes");
    site.write({ region: "westus" });
    const [moved] = await failsOf();
    assert.match(moved ?? "", /^group bigdl-rg-es2-test: set azure\.region: eastus2, or name/);
  });

  test("a deployment that fails half-way is finished by the same plan", async (context) => {
    const site = await siteIn(context);
    const fault = {
      service: "arm",
      method: "PUT",
      path: "resource:.*/vaults/ppml-demo-vault$",
      status: 500,
      remaining: 20,
      retryAfterSeconds: null,
    } as const;
    addFault(site.twin.base.state, fault, Date.now());
    const [, failed] = await site.run(
      "azure plan --out plan.json",
      "azure apply plan.json --yes --json",
    );
    assert.equal(errorOf(failed).code, "provision.failed");
    assert.match(errorOf(failed).message, /ppml-demo-vault/);
    const half = resourcesIn(site).length;
    assert.ok(half > 5, String(half));
    const { state } = site.twin.base;
    for (const { id } of state.list(FAULTS)) state.remove(FAULTS, id);
    const [done] = await site.run("azure apply plan.json --yes --json");
    assert.equal(done?.code, 0, done?.stdout);
    assert.ok(resourcesIn(site).length > half);
  });

  test("two applies at once: of one plan they end as one, of two plans one wins; the next run has what is left", async (context) => {
    const site = await siteIn(context);
    await site.run("azure plan --out plan.json");
    const apply = "azure apply plan.json --yes --json";
    const both = await Promise.all([site.start(apply).ended, site.start(apply).ended]);
    assert.deepEqual(
      both.map(([step]) => `${step?.code} ${json<{ how: string }>(step?.stdout).how}`).toSorted(),
      ["0 applied", "0 joined"],
      both.map(([step]) => step?.stdout).join("\n"),
    );
    site.write({ tags: { team: "one" } });
    await site.run("azure plan --out one.json");
    const one = site.start("azure apply one.json --yes --json");
    site.write({ tags: { team: "one" }, aks: { ...FULL.aks, nodeCount: 5 } });
    const [two] = await site.run("azure plan --out two.json --json");
    const second = await site.run("azure apply two.json --yes --json");
    const [first] = await one.ended;
    // Which of them Azure has first is chance; nothing is ever lost or half-made.
    for (const step of [first, two, second[0]])
      if (step?.code !== 0)
        assert.match(errorOf(step).code, /^provision\.(?:busy|plan_stale|failed)$/, step?.stdout);
    const [last, again] = await site.run("up --yes --json", "azure plan --detailed-exitcode");
    assert.equal(last?.code, 0, last?.stdout);
    assert.equal(again?.code, 0, again?.stdout);
  });

  test("killed while Azure works: the next apply of the plan waits for it, and begins nothing anew", async (context) => {
    const site = await siteIn(context, { paceMs: 150 });
    await site.run("azure plan --out plan.json");
    const { child, ended } = site.start("azure apply plan.json --yes --json");
    for (let looks = 0; resourcesIn(site).length < 2; looks += 1) {
      assert.ok(looks < 3000, "nothing is made within a minute");
      await sleep(20);
    }
    child.kill("SIGKILL");
    assert.deepEqual(await ended, []);
    const [second] = await site.run("azure apply plan.json --yes --json");
    assert.equal(second?.code, 0, second?.stdout);
    // On a slow machine Azure may be done before the second call looks.
    assert.match(json<{ how: string }>(second.stdout).how, /^(?:joined|nothing-to-do)$/);
  });
});
