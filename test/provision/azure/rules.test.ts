import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isPpmlError } from "../../../src/base/index.ts";
import { checkRules, demandRules, RULES } from "../../../src/provision/index.ts";
import type { ArmTemplate } from "../../../src/provision/index.ts";
import { ROLES } from "../../../src/provision/azure/roles.ts";
import { changed, type Faulty, type Properties, roleIdIn } from "./changed-template.ts";
import { FAULTY_HSM } from "./faulty-hsm.ts";
import { sectionOf, templateOf } from "./sections.ts";

const VAULT = "Microsoft.KeyVault/vaults";
const KEY = "Microsoft.KeyVault/vaults/keys";
const STORAGE = "Microsoft.Storage/storageAccounts";
const AKS = "Microsoft.ContainerService/managedClusters";
const ASSIGNMENT = "Microsoft.Authorization/roleAssignments";

const section = sectionOf();
const roleId = (id: string) => roleIdIn(section, id);
const spark = { type: ASSIGNMENT, has: ["'ppml-spark'", ROLES.keyVaultReleaseUser.id] };
const broker = { type: ASSIGNMENT, has: ["'ppml-broker'", ROLES.keyVaultEncryptionUser.id] };
const inputKek = { type: KEY, has: ['ppml-demo-vault/input"'] };
const direct = { type: KEY, has: ["input-direct"] };
const policyText = (policy: unknown) => Buffer.from(JSON.stringify(policy)).toString("base64url");
const release = (policy: unknown) => ({ contentType: "x", data: policyText(policy) });

/** Templates with one fault each: the rule that refuses it, and a word of what it says. */
const FAULTY: readonly Faulty[] = [
  ...FAULTY_HSM,
  ...[ROLES.keyVaultCryptoUser, ROLES.keyVaultEncryptionUser, ROLES.keyVaultCryptoOfficer].map(
    (role) =>
      [
        `T220: a workload that is given "${role.name}" is refused`,
        "no-unwrap-for-workloads",
        /no broker's/,
        changed(spark, (p) => void (p["roleDefinitionId"] = roleId(role.id))),
      ] as const,
  ),
  [
    "T220: the client VM that may unwrap is refused",
    "no-unwrap-for-workloads",
    /no broker's/,
    changed({ type: ASSIGNMENT, has: ["'ppml-vm'", ROLES.keyVaultReader.id] }, (p) => {
      p["roleDefinitionId"] = roleId(ROLES.keyVaultAdministrator.id);
    }),
  ],
  [
    "T220: a broker that may unwrap with every key of the vault is refused",
    "no-unwrap-for-workloads",
    /one unwrap-only KEK/,
    changed(broker, (_, one) => {
      one.scope = "[resourceId('Microsoft.KeyVault/vaults', 'ppml-demo-vault')]";
    }),
  ],
  [
    "T220: a broker that may unwrap with an exportable KEK is refused",
    "no-unwrap-for-workloads",
    /one unwrap-only KEK/,
    changed(broker, (_, one) => {
      one.scope =
        "[resourceId('Microsoft.KeyVault/vaults/keys', 'ppml-demo-vault', 'input-direct')]";
    }),
  ],
  [
    "T221: Owner is refused",
    "narrow-roles",
    /Owner/,
    changed(spark, (p) => {
      p["roleDefinitionId"] = roleId("8e3af657-a8ff-443c-a75c-2fe8c4bcb635");
    }),
  ],
  [
    "T221: Contributor is refused",
    "narrow-roles",
    /Contributor/,
    changed(spark, (p) => {
      p["roleDefinitionId"] = roleId("b24988ac-6180-42a0-ab88-20f7382dd24c");
    }),
  ],
  [
    "T221: a role that nobody here knows is refused",
    "narrow-roles",
    /none that ppml knows/,
    changed(spark, (p) => {
      p["roleDefinitionId"] = roleId("12345678-1234-4234-8234-123456789012");
    }),
  ],
  [
    "T221: a role on the whole group is refused",
    "narrow-roles",
    /whole group/,
    changed(spark, (_, one) => void delete one.scope),
  ],
  [
    "T222: an exportable KEK that the vault also unwraps with is refused",
    "one-use-of-keks",
    /may not have unwrapKey/,
    changed(direct, (p) => void (p["keyOps"] = ["wrapKey", "unwrapKey"])),
  ],
  [
    "T222: an exportable KEK that decrypts is refused",
    "one-use-of-keks",
    /may not have decrypt/,
    changed(direct, (p) => void (p["keyOps"] = ["wrapKey", "decrypt"])),
  ],
  [
    "T222: an exportable KEK without a list of operations is refused",
    "one-use-of-keks",
    /must list/,
    changed(direct, (p) => void delete p["keyOps"]),
  ],
  [
    "T222: an exportable KEK without a release policy is refused",
    "one-use-of-keks",
    /needs a release policy/,
    changed(direct, (p) => void delete p["release_policy"]),
  ],
  [
    "T222: a release policy without any authority is refused",
    "one-use-of-keks",
    /names an authority/,
    changed(direct, (p) => void (p["release_policy"] = release({ version: "1.0.0", anyOf: [] }))),
  ],
  [
    "T222: a release policy whose authority demands no claim is refused",
    "one-use-of-keks",
    /needs a release policy/,
    changed(direct, (p) => {
      p["release_policy"] = release({ anyOf: [{ authority: "https://a.b", allOf: [] }] });
    }),
  ],
  [
    "T222: an unwrap-only KEK with a release policy is refused",
    "one-use-of-keks",
    /has no release policy/,
    changed(inputKek, (p) => void (p["release_policy"] = release({}))),
  ],
  [
    "T222: an unwrap-only KEK that decrypts is refused",
    "one-use-of-keks",
    /no decrypt/,
    changed(inputKek, (p) => void (p["keyOps"] = ["unwrapKey", "decrypt"])),
  ],
  [
    "a KEK of 2048 bits is refused",
    "strong-keks",
    /3072/,
    changed(inputKek, (p) => void (p["keySize"] = 2048)),
  ],
  [
    "a KEK outside an HSM is refused",
    "strong-keks",
    /RSA-HSM/,
    changed(inputKek, (p) => void (p["kty"] = "RSA")),
  ],
  [
    "T223: a storage account whose keys work is refused",
    "no-account-keys",
    /allowSharedKeyAccess/,
    changed({ type: STORAGE }, (p) => void (p["allowSharedKeyAccess"] = true)),
  ],
  [
    "T223: a storage account that leaves its keys to Azure's default is refused",
    "no-account-keys",
    /allowSharedKeyAccess/,
    changed({ type: STORAGE }, (p) => void delete p["allowSharedKeyAccess"]),
  ],
  [
    "T223: an expression that reads an account's keys is refused",
    "resolved-template",
    /listKeys/,
    changed({ type: AKS }, (p) => {
      p["dnsPrefix"] = "[listKeys(resourceId('a/b', 'c'), '2026-04-01').keys[0].value]";
    }),
  ],
  [
    "a storage account that is open to everybody is refused",
    "safe-services",
    /allowBlobPublicAccess/,
    changed({ type: STORAGE }, (p) => void (p["allowBlobPublicAccess"] = true)),
  ],
  [
    "a vault with access policies is refused",
    "safe-services",
    /enableRbacAuthorization/,
    changed({ type: VAULT }, (p) => void (p["enableRbacAuthorization"] = false)),
  ],
  [
    "a vault that can be purged at once is refused",
    "safe-services",
    /enablePurgeProtection/,
    changed({ type: VAULT }, (p) => void delete p["enablePurgeProtection"]),
  ],
  [
    "a cluster with local accounts is refused",
    "safe-services",
    /disableLocalAccounts/,
    changed({ type: AKS }, (p) => void (p["disableLocalAccounts"] = false)),
  ],
  [
    "a misspelt add-on is refused",
    "known-addons",
    /AccSgxDevicePlugin/,
    changed({ type: AKS }, (p) => {
      (p["addonProfiles"] as Properties)["AccSgxDevicePlugin"] = { enabled: true };
    }),
  ],
  ...[6, 91, 7.5, "90"].map(
    (days) =>
      [
        `a vault that is kept for ${JSON.stringify(days)} days is refused`,
        "vault-retention",
        /7 to 90/,
        changed({ type: VAULT }, (p) => void (p["softDeleteRetentionInDays"] = days)),
      ] as const,
  ),
  ...["1vault", "va", "my--vault", "vault-", "my_vault", "a".repeat(25)].map(
    (name) =>
      [
        `the vault's name ${name} is refused`,
        "vault-names",
        /3 to 24/,
        changed({ type: VAULT }, (_, one) => void (one.name = name)),
      ] as const,
  ),
  [
    "a resource that stands twice is refused",
    "unique-resources",
    /twice/,
    { ...templateOf(section), resources: templateOf(section).resources.flatMap((r) => [r, r]) },
  ],
];

describe("rules of the template", () => {
  for (const [name, rule, says, template, of = section] of FAULTY)
    test(name, () => {
      const breaches = checkRules({ template, section: of });
      assert.ok(
        breaches.some((one) => one.rule === rule && says.test(one.message)),
        JSON.stringify(breaches),
      );
      assert.throws(
        () => demandRules({ template, section: of }),
        (error) => isPpmlError(error, "provision.rule") && error.message.includes(rule),
      );
    });

  test("every rule has a template that breaks it, and says why it is one", () => {
    const broken = new Set(FAULTY.map(([, rule]) => rule));
    assert.deepEqual(
      RULES.map(({ name }) => name).filter((name) => !broken.has(name)),
      [],
    );
    for (const { why } of RULES) assert.match(why, /^[A-Z].{20,}\.$/);
  });

  test("T223: the project file may ask for the account's keys, and only then they work", () => {
    const open = sectionOf({ storage: { account: "ppmldemolake", sharedKey: true } });
    assert.deepEqual(checkRules({ template: templateOf(open), section: open }), []);
  });

  test("T220: a workload in a vault of another group may not unwrap either", () => {
    const foreign = sectionOf({
      keyVault: {
        existing:
          "/subscriptions/aaaaaaaa-2222-4333-8444-555555555555/resourceGroups/x/providers/Microsoft.KeyVault/vaults/v",
        keks: { input: { use: "unwrap-only" }, "input-direct": { use: "exportable", policy: "a" } },
      },
    });
    const text = JSON.stringify(templateOf(foreign));
    assert.deepEqual(checkRules({ template: templateOf(foreign), section: foreign }), []);
    const worse = JSON.parse(
      text.replaceAll(ROLES.keyVaultReleaseUser.id, ROLES.keyVaultCryptoUser.id),
    ) as ArmTemplate;
    const [breach] = checkRules({ template: worse, section: foreign });
    assert.equal(breach?.rule, "no-unwrap-for-workloads");
  });
});
