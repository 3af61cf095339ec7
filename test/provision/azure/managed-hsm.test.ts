import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isPpmlError } from "../../../src/base/index.ts";
import {
  activationCommands,
  demandActivation,
  hsmGrants,
  hsmOf,
  hsmRoleCommand,
  hsmRoleEndCommand,
} from "../../../src/provision/index.ts";
import type { HsmGrant, HsmState } from "../../../src/provision/index.ts";
import { HSM_ROLES } from "../../../src/provision/azure/arm/hsm-grants.ts";
import { hsmRoleBreaches } from "../../../src/provision/azure/rules/hsm.ts";
import { FULL, HSM_IDENTITIES, sectionOf, templateOf, VARIANTS } from "./sections.ts";

const HSM_KEY = "Microsoft.KeyVault/managedHSMs/keys";
const [made, activated, existing] = ["managedHsm", "activatedHsm", "existingHsm"].map((name) =>
  sectionOf(VARIANTS[name]),
);
assert.ok(made !== undefined && activated !== undefined && existing !== undefined);
const keysOf = (change: object) =>
  templateOf(sectionOf(change as Readonly<Record<string, unknown>>))
    .resources.filter(({ type }) => type === HSM_KEY)
    .map(({ name }) => name);

const keyBodies = (section: typeof made, type: string) =>
  templateOf(section)
    .resources.filter((one) => one.type === type)
    .map(({ properties, tags, apiVersion }) => ({ properties, tags, apiVersion }));
const told = (grants: readonly HsmGrant[]) =>
  grants.map(({ to, role, scope }) => [to.kind === "identity" ? to.name : "op", role.name, scope]);

const nameIn = (command: string) => / --name (\S+) /.exec(command)?.[1] ?? "";

test("keys are made where the project file says that the HSM is activated, or names an existing one", () => {
  const keyVault = { name: "h-s-m", sku: "managedHsm", keks: FULL.keyVault.keks };
  const of = { identities: HSM_IDENTITIES };
  assert.deepEqual(keysOf({ ...of, keyVault }), []);
  assert.deepEqual(keysOf({ ...of, keyVault: { ...keyVault, activated: false } }), []);
  const both = ["h-s-m/input", "h-s-m/input-direct"];
  assert.deepEqual(keysOf({ ...of, keyVault: { ...keyVault, activated: true } }), both);
  const there = { existing: "h-s-m", sku: "managedHsm", keks: FULL.keyVault.keks };
  assert.deepEqual(keysOf({ ...of, keyVault: there }), both);
  assert.deepEqual(keysOf({ ...of, keyVault: { ...there, activated: false } }), []);
  const far = `/subscriptions/${FULL.subscription}/resourceGroups/other/providers/Microsoft.KeyVault/managedHSMs/h-s-m`;
  assert.deepEqual(keysOf({ ...of, keyVault: { ...there, existing: far } }), []);
});

test("a key of a Managed HSM says the same as a vault's, but for its type and parent", () => {
  assert.deepEqual(
    keyBodies(activated, HSM_KEY),
    keyBodies(sectionOf(), "Microsoft.KeyVault/vaults/keys"),
  );
});

test("ARM is given no role on a Managed HSM or its keys", () => {
  for (const section of [made, activated, existing])
    for (const { type, scope = "" } of templateOf(section).resources)
      if (type === "Microsoft.Authorization/roleAssignments")
        assert.doesNotMatch(scope, /managedHSMs/i);
});

describe("roles inside a Managed HSM", () => {
  test("T167: each identity has one on each of its KEKs, and no workload one that unwraps", () => {
    assert.deepEqual(hsmGrants(made), []);
    assert.deepEqual(hsmGrants(sectionOf()), []);
    assert.deepEqual(told(hsmGrants(activated)), [
      ["vm", "Managed HSM Crypto Auditor", "/keys"],
      ["broker", "Managed HSM Crypto Service Encryption User", "/keys/input"],
      ["spark", "Managed HSM Crypto Service Release User", "/keys/input-direct"],
      ["op", "Managed HSM Crypto Auditor", "/keys"],
      ["op", "Managed HSM Crypto User", "/keys/input-direct"],
    ]);
    assert.deepEqual(told(hsmGrants(existing)), told(hsmGrants(activated)));
    assert.deepEqual(hsmRoleBreaches(activated, hsmGrants(activated)), []);
  });

  test("T167: a wider or an unwrapping role is found, whoever has it", () => {
    const [, broker, spark, , operator] = hsmGrants(activated);
    assert.ok(broker !== undefined && spark !== undefined && operator !== undefined);
    const wrong: readonly (readonly [HsmGrant, RegExp])[] = [
      [{ ...spark, role: HSM_ROLES.user }, /no broker's/],
      [{ ...spark, role: HSM_ROLES.encryptionUser }, /no broker's/],
      [{ ...spark, role: HSM_ROLES.encryptionUser, scope: "/keys/input" }, /no broker's/],
      [{ ...spark, scope: "/keys" }, /must be on one KEK/],
      [{ ...spark, scope: "/" }, /must be on one KEK/],
      [{ ...spark, scope: "/keys/other" }, /must be on one KEK of the project's/],
      [{ ...broker, scope: "/keys" }, /must be on one KEK/],
      [{ ...broker, scope: "/keys/input-direct" }, /unwrap-only/],
      [{ ...operator, scope: "/keys/input" }, /a KEK of the broker's/],
      [{ ...operator, scope: "/keys" }, /must be on one KEK/],
    ];
    for (const [grant, says] of wrong) {
      const [breach] = hsmRoleBreaches(activated, [grant]);
      assert.match(breach?.message ?? "", says, JSON.stringify(grant));
    }
  });

  test("a command names role, holder and key, and the same assignment each time", () => {
    const grant = hsmGrants(activated).find(({ scope }) => scope === "/keys/input-direct");
    assert.ok(grant !== undefined);
    const command = hsmRoleCommand("ppml-demo-hsm", grant, "OBJECT-ID");
    const name = nameIn(command);
    assert.equal(
      command,
      `az keyvault role assignment create --hsm-name ppml-demo-hsm --name ${name} --role "Managed HSM Crypto Service Release User" --assignee-object-id OBJECT-ID --assignee-principal-type ServicePrincipal --scope /keys/input-direct`,
    );
    const names = hsmGrants(activated).map((one, index) =>
      nameIn(hsmRoleCommand("h", one, String(index))),
    );
    assert.equal(new Set(names).size, names.length);
    assert.equal(nameIn(hsmRoleCommand("PPML-demo-hsm", grant, "object-id")), name);
    assert.notEqual(nameIn(hsmRoleCommand("other-hsm", grant, "OBJECT-ID")), name);
  });

  test("an identity that was made anew gets an assignment of its own, not its forerunner's", () => {
    const [, broker] = hsmGrants(activated);
    assert.ok(broker !== undefined);
    const [before, after] = ["a", "b"].map((one) => nameIn(hsmRoleCommand("h", broker, one)));
    assert.notEqual(before, after);
  });

  test("T167: what an operator needs once is marked as that, and has a command that takes it back", () => {
    const once = hsmGrants(activated).filter(({ isOnce }) => isOnce);
    assert.deepEqual(told(once), [["op", "Managed HSM Crypto User", "/keys/input-direct"]]);
    const [grant] = once;
    assert.ok(grant !== undefined);
    assert.equal(
      hsmRoleEndCommand("h-s-m", grant, "OBJECT-ID"),
      'az keyvault role assignment delete --hsm-name h-s-m --role "Managed HSM Crypto User" --assignee-object-id OBJECT-ID --scope /keys/input-direct',
    );
  });
});

describe("what the project file says of a Managed HSM is held against ARM's answer", () => {
  const recovered = sectionOf({
    keyVault: { ...(VARIANTS["activatedHsm"]?.["keyVault"] as object), recover: true },
    identities: HSM_IDENTITIES,
  });
  const cases: readonly (readonly [string, typeof made, HsmState, RegExp | null])[] = [
    ["not activated, and not said so", made, "not-activated", null],
    ["absent, and not said so", made, "absent", null],
    ["active, and not said so", made, "active", null],
    ["active, and said so", activated, "active", null],
    ["said so, and ARM does not say", activated, "unknown", null],
    ["an existing one that is active", existing, "active", null],
    ["one that is brought back", recovered, "absent", null],
    ["a vault", sectionOf(), "absent", null],
    ["T168: said so, and not activated", activated, "not-activated", /is not activated/],
    ["T168: said so, and its activation failed", activated, "failed", /\(failed\)/],
    ["T168: said so, and not there", activated, "absent", /is not there yet/],
    ["T168: brought back, and not activated", recovered, "not-activated", /is not activated/],
    ["T168: an existing one that is not activated", existing, "not-activated", /existing names it/],
  ];
  for (const [name, section, state, says] of cases)
    test(name, () => {
      if (says === null) {
        demandActivation(section, state);
        return;
      }
      assert.throws(
        () => {
          demandActivation(section, state);
        },
        (error) => {
          assert.ok(isPpmlError(error, "provision.not_activated"));
          assert.match(error.message, says);
          assert.match(String(error.detail["remedy"]), /activated/);
          return true;
        },
      );
    });

  test("an existing one that is not there is told as that", () => {
    assert.throws(
      () => {
        demandActivation(existing, "absent");
      },
      (error) => isPpmlError(error, "azure.not_found") && error.message.includes("corp-hsm"),
    );
  });

  test("the commands of an activation: three key pairs under passphrases, a quorum of two, ARM's leave", () => {
    const commands = activationCommands(hsmOf(activated)?.name ?? "");
    assert.equal(commands.length, 5);
    assert.doesNotMatch(commands.join("\n"), /-nodes|-noenc/);
    assert.match(
      commands[3] ?? "",
      /^az keyvault security-domain download --hsm-name ppml-demo-hsm --sd-wrapping-keys ppml-demo-hsm-1\.cer ppml-demo-hsm-2\.cer ppml-demo-hsm-3\.cer --sd-quorum 2 /,
    );
    assert.match(commands[4] ?? "", /AllowKeyManagementOperationsThroughARM --value true$/);
  });
});
