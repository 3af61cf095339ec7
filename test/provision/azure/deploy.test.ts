import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isPpmlError } from "../../../src/base/index.ts";
import type { ErrorCode } from "../../../src/base/index.ts";
import { applyPlan } from "../../../src/provision/azure/deploy/apply.ts";
import { destroyStack, planDestroy } from "../../../src/provision/azure/deploy/destroy.ts";
import { forecast, templateDigest } from "../../../src/provision/azure/deploy/plan.ts";
import { remedyFor, rootCauses } from "../../../src/provision/azure/deploy/remedies.ts";
import { makePlan, parsePlan } from "../../../src/provision/azure/deploy/saved-plan.ts";
import type { SavedPlan } from "../../../src/provision/azure/deploy/saved-plan.ts";
import { MemoryArm } from "./memory-arm.ts";
import { FULL, HSM_IDENTITIES, sectionOf, templateOf } from "./sections.ts";

type Change = Readonly<Record<string, unknown>>;

const refused = (code: ErrorCode, says: RegExp) => (error: unknown) => {
  assert.ok(isPpmlError(error, code), String(error));
  assert.match(error.message, says);
  return true;
};

async function planOf(arm: MemoryArm, change: Change = {}): Promise<SavedPlan> {
  const section = sectionOf(change);
  const template = templateOf(section);
  const found = await forecast(arm.port, { template, section });
  const templateSha256 = templateDigest(template);
  return makePlan({ section, templateSha256, forecast: found, nowMs: 0 });
}

function apply(arm: MemoryArm, plan: SavedPlan, change: Change = {}) {
  const section = sectionOf(change);
  const told: string[] = [];
  const onProgress = ({ resourceId }: { readonly resourceId: string }) =>
    void told.push(resourceId);
  const input = { port: arm.port, section, template: templateOf(section), plan, onProgress };
  return applyPlan(input).then((result) => ({ ...result, told }));
}

async function applied(change: Change = {}): Promise<MemoryArm> {
  const arm = new MemoryArm(sectionOf());
  await apply(arm, await planOf(arm, change), change);
  arm.calls.length = 0;
  return arm;
}

const vnetOf = (arm: MemoryArm) =>
  [...arm.resources.keys()].find((one) => one.endsWith("ppml-vnet")) ?? "";

const bigger = { aks: { nodeCount: 4 } };

describe("plan and apply", () => {
  test("where the group is missing, all is to be made, and applying makes the group first", async () => {
    const arm = new MemoryArm(sectionOf());
    const plan = await planOf(arm);
    assert.equal(plan.groupExists, false);
    assert.ok(plan.changes.every(({ action }) => action === "create"));
    const { how, told } = await apply(arm, plan);
    assert.equal(how, "applied");
    assert.deepEqual(arm.calls, ["makeGroup", "putStack delete"]);
    assert.equal(told.length, plan.changes.length);
  });

  test("after it nothing is to be done, and applying again does nothing", async () => {
    const arm = await applied();
    const plan = await planOf(arm);
    assert.deepEqual(plan.changes, []);
    assert.equal((await apply(arm, plan)).how, "nothing-to-do");
    assert.deepEqual(arm.calls, []);
  });

  test("a change of ppml.yaml is one change of the plan", async () => {
    const plan = await planOf(await applied(), bigger);
    assert.deepEqual(
      plan.changes.map(({ action, name }) => [action, name]),
      [["modify", "ppml-aks/confidential"]],
    );
  });

  test("T224: a plan is refused where Azure would change something else by now", async () => {
    const arm = await applied();
    const plan = await planOf(arm, bigger);
    const id = vnetOf(arm);
    arm.resources.set(id, "{}");
    await assert.rejects(
      apply(arm, plan, bigger),
      refused("provision.plan_stale", /modify Microsoft.Network\/virtualNetworks ppml-vnet/),
    );
    assert.deepEqual(arm.calls, []);
  });

  test("T224: a plan is refused where a planned change would be another one by now", async () => {
    const arm = await applied();
    const plan = await planOf(arm, bigger);
    for (const id of arm.resources.keys())
      if (id.endsWith("/confidential")) arm.resources.set(id, "{}");
    await assert.rejects(
      apply(arm, plan, bigger),
      refused("provision.plan_stale", /other properties than in the plan/),
    );
  });

  test("T224: a plan is refused once ppml.yaml says something else", async () => {
    const arm = await applied();
    const plan = await planOf(arm, bigger);
    await assert.rejects(apply(arm, plan), refused("provision.plan_stale", /has changed since/));
    const other = { resourceGroup: "other" };
    await assert.rejects(
      apply(arm, plan, other),
      refused("provision.plan_stale", /the plan is for/),
    );
  });

  test("T225: a saved plan that was changed anywhere is refused", async () => {
    const plan = await planOf(new MemoryArm(sectionOf()));
    assert.deepEqual(parsePlan(JSON.parse(JSON.stringify(plan))), plan);
    const [first, ...others] = plan.changes;
    const wrong: readonly object[] = [
      { ...plan, changes: others },
      { ...plan, changes: [{ ...first, action: "delete" }, ...others] },
      { ...plan, templateSha256: "0".repeat(64) },
      { ...plan, groupExists: true },
      { ...plan, resourceGroup: "other" },
      { ...plan, digest: "0".repeat(64) },
      { ...plan, more: 1 },
    ];
    for (const one of wrong)
      assert.throws(() => parsePlan(one), refused("provision.plan_invalid", /plan/));
  });

  test("two applies of one plan at once: the second waits for the first", async () => {
    const arm = await applied();
    arm.trouble = { hangAt: "/confidential" };
    const plan = await planOf(arm, bigger);
    const first = apply(arm, plan, bigger);
    while (arm.current?.provisioningState !== "deploying") await new Promise(setImmediate);
    const second = apply(arm, plan, bigger);
    setTimeout(() => arm.goOn(), 20);
    assert.equal((await first).how, "applied");
    assert.equal((await second).how, "joined");
    assert.deepEqual(arm.calls, ["putStack delete"]);
  });

  test("T226: another plan is refused while one is being applied", async () => {
    const arm = await applied();
    arm.trouble = { hangAt: "/confidential" };
    const other = { aks: { nodeCount: 5 } };
    const [plan, second] = [await planOf(arm, bigger), await planOf(arm, other)];
    const first = apply(arm, plan, bigger);
    while (arm.current?.provisioningState !== "deploying") await new Promise(setImmediate);
    await assert.rejects(apply(arm, second, other), refused("provision.busy", /by another call/));
    setTimeout(() => arm.goOn(), 1);
    await first;
  });

  test("a deployment that fails says which resource, why, and what to do", async () => {
    const arm = new MemoryArm(sectionOf());
    const message = "A vault with the same name already exists in deleted state.";
    arm.trouble = {
      failAt: "/ppml-demo-vault",
      error: { code: "ConflictError", message, details: [] },
    };
    const plan = await planOf(arm);
    await assert.rejects(
      apply(arm, plan),
      refused("provision.failed", /ppml-demo-vault: ConflictError: .*\n.*keyVault\.recover: true/),
    );
  });

  test("applying again after a failure, with the same plan, finishes the rest", async () => {
    const arm = new MemoryArm(sectionOf());
    arm.trouble = { failAt: "/ppml-demo-vault" };
    const plan = await planOf(arm);
    await assert.rejects(apply(arm, plan), refused("provision.failed", /failed/));
    const half = arm.resources.size;
    assert.ok(half > 0 && half < plan.changes.length);
    arm.trouble = {};
    assert.equal((await apply(arm, plan)).how, "applied");
    assert.equal(arm.resources.size, plan.changes.length);
  });

  test("T224: finishing does no more than the plan, whatever changed in between", async () => {
    const arm = await applied();
    const plan = await planOf(arm, bigger);
    arm.trouble = { failAt: "/confidential" };
    await assert.rejects(apply(arm, plan, bigger), refused("provision.failed", /failed/));
    arm.resources.set(vnetOf(arm), "{}");
    arm.trouble = {};
    await assert.rejects(apply(arm, plan, bigger), refused("provision.plan_stale", /ppml-vnet/));
  });

  test("what ppml.yaml no longer has is deleted, but nothing where keys or data are of it", async () => {
    const arm = await applied();
    const noRegistry = { registry: undefined };
    const plan = await planOf(arm, noRegistry);
    const gone = plan.changes.filter(({ action }) => action === "delete");
    assert.ok(gone.some(({ name }) => name === "ppmldemoregistry"));
    await apply(arm, plan, noRegistry);
    assert.ok(![...arm.resources.keys()].some((id) => id.endsWith("ppmldemoregistry")));

    const noVault = { keyVault: undefined, identities: {} };
    const second = await planOf(arm, noVault);
    assert.ok(second.changes.some(({ action }) => action === "release"));
    assert.ok(!second.changes.some(({ action }) => action === "delete"));
    await apply(arm, second, noVault);
    assert.ok([...arm.resources.keys()].some((id) => id.endsWith("/vaults/ppml-demo-vault")));
  });
});

const named = (vaults: readonly string[], accounts: readonly string[]) => ({ vaults, accounts });
const left = (arm: MemoryArm) =>
  [...arm.resources.keys()].map((id) => id.split("/providers/").at(-1) ?? "");

const destroy = async (arm: MemoryArm, names: ReturnType<typeof named>) => {
  const section = sectionOf();
  assert.ok(arm.current !== null);
  const destruction = planDestroy(arm.current, names);
  const template = templateOf(section);
  await destroyStack({ port: arm.port, section, template, destruction });
  return destruction;
};

describe("destroy", () => {
  test("T227: keys and data that are not named stay, and all else goes", async () => {
    const arm = await applied();
    await destroy(arm, named([], []));
    assert.equal(arm.current, null);
    assert.deepEqual(left(arm).sort(), [
      "microsoft.keyvault/vaults/ppml-demo-vault",
      "microsoft.keyvault/vaults/ppml-demo-vault/keys/input",
      "microsoft.keyvault/vaults/ppml-demo-vault/keys/input-direct",
      "microsoft.storage/storageaccounts/ppmldemolake",
      "microsoft.storage/storageaccounts/ppmldemolake/blobservices/default",
      "microsoft.storage/storageaccounts/ppmldemolake/blobservices/default/containers/sealed",
    ]);
  });

  test("T227: naming the vault deletes it, and not the data", async () => {
    const arm = await applied();
    await destroy(arm, named(["PPML-demo-vault"], []));
    assert.ok(left(arm).length > 0);
    assert.ok(left(arm).every((id) => id.includes("ppmldemolake")));
  });

  test("T227: only where all are named nothing is left", async () => {
    const arm = await applied();
    await destroy(arm, named(["ppml-demo-vault"], ["ppmldemolake"]));
    assert.deepEqual(left(arm), []);
    assert.deepEqual(arm.calls, ["deleteStack delete"]);
  });

  test("T227: a name that the stack does not have deletes nothing", async () => {
    const arm = await applied();
    await assert.rejects(
      destroy(arm, named(["other"], [])),
      refused("provision.protected", /no vault other; it has ppml-demo-vault/),
    );
    assert.deepEqual(arm.calls, []);
  });

  test("T227: an existing Managed HSM or vault is not said to be deleted with its keys", async () => {
    for (const sku of ["managedHsm", "premium"]) {
      const keyVault = { existing: "corp-keys", sku, keks: FULL.keyVault.keks };
      const change = { keyVault, identities: HSM_IDENTITIES };
      const arm = new MemoryArm(sectionOf(change));
      await apply(arm, await planOf(arm, change), change);
      const { current } = arm;
      assert.ok(current !== null);
      assert.throws(
        () => planDestroy(current, named(["Corp-keys"], [])),
        (error) =>
          isPpmlError(error, "provision.protected") && error.message.includes("was there before"),
      );
      const { keeps } = planDestroy(current, named([], []));
      assert.equal(keeps.filter((id) => id.includes("/keys/")).length, 2);
    }
  });

  test("the kept firewall names no subnet that goes, and waits for nothing that goes", async () => {
    const change = { network: { allowedIpRanges: ["203.0.113.0/24"] }, ...FULL };
    const section = sectionOf(change);
    const arm = new MemoryArm(section);
    await apply(arm, await planOf(arm, change), change);
    assert.ok(arm.current !== null);
    const destruction = planDestroy(arm.current, named([], []));
    const template = templateOf(section);
    await destroyStack({ port: arm.port, section, template, destruction });
    for (const text of arm.resources.values()) assert.doesNotMatch(text, /ppml-vnet/);
  });
});

describe("failures of ARM", () => {
  const told: readonly (readonly [code: string, message: string, remedy: RegExp])[] = [
    ["ConflictError", "A vault exists in deleted state.", /still has this name.*recover: true/],
    [
      "StorageAccountAlreadyTaken",
      "It is already taken.",
      /choose another in azure\.storage\.account/,
    ],
    ["AlreadyInUse", "The name is already in use.", /choose another in azure\.registry\.name/],
    ["NameAlreadyExists", "It is already in use.", /choose another in .*azure\.attestation\.name/],
    [
      "VaultAlreadyExists",
      // Azure's own words: they speak of deleted vaults, whatever has the name.
      "The vault name 'x' is already in use. Vault names are globally unique so it is possible that the name is already taken. If you are sure that the vault name was not taken then it is possible that a vault with the same name was recently deleted but not purged after being placed in a recoverable state.",
      /^a vault has this name, or one that was deleted keeps it.*choose another in azure\.keyVault\.name\. Only where `az keyvault list-deleted` shows it/,
    ],
    ["StorageAccountAlreadyTaken", "taken", /names are unique/],
    ["OperationNotAllowed", "exceeding approved standardDCASv6Family Cores quota", /ask for more/],
    ["OperationNotAllowed", "another operation is in progress", /another change/],
    ["SkuNotAvailable", "not in region", /azure\.region/],
    ["AuthorizationFailed", "action 'Microsoft.Authorization/roleAssignments/write'", /give roles/],
    ["AuthorizationFailed", "action 'Microsoft.Compute/x/write'", /lacks a permission/],
    ["RoleAssignmentUpdateNotPermitted", "no", /deleted and made again/],
    ["MissingSubscriptionRegistration", "no", /az provider register/],
    ["RequestDisallowedByPolicy", "no", /exemption/],
    ["SomethingNew", "no", /apply again/],
    [
      "BadRequest",
      "an administrator has to enable the setting 'AllowKeyManagementOperationsThroughARM'",
      /az keyvault setting update --hsm-name/,
    ],
    ["Forbidden", "cannot be used until it is activated", /activated: false/],
  ];
  for (const [code, message, remedy] of told)
    test(`${code} (${message.slice(0, 40)}) has its remedy`, () => {
      assert.match(remedyFor({ code, message, details: [] }), remedy);
    });

  test("what only wraps other failures is left out", () => {
    const inner = { code: "SkuNotAvailable", message: "no", details: [] };
    const middle = { code: "ResourceDeploymentFailure", message: "see", details: [inner] };
    assert.deepEqual(rootCauses({ code: "DeploymentFailed", message: "", details: [middle] }), [
      inner,
    ]);
  });
});
