import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import { isPpmlError } from "../../src/base/index.ts";
import { parseProject } from "../../src/cli/config/parse.ts";
import { requireOwnPolicy, requireUse } from "../../src/cli/kek-use.ts";
import { parseSkrPolicy } from "../../src/format/skr/skr-policy.ts";
import { policyOf } from "./azure-project.ts";
import { FULL, HSM_IDENTITIES, RELEASE_POLICY } from "../provision/azure/sections.ts";

const { keks } = FULL.keyVault;
const ID = "/subscriptions/aaaaaaaa-2222-4333-8444-555555555555/resourceGroups/shared/providers";

/** A project with that vault, and that `azure.keyVault`. */
const projectOf = (url: string | null, keyVault?: object) => {
  const own = { path: ".ppml/vault.db", rootKeyFile: ".ppml/root.key" };
  const vault =
    url === null
      ? { kind: "embedded", ...own }
      : { kind: "azure", url, rootKeyFile: own.rootKeyFile };
  const azure = { ...FULL, keyVault, identities: HSM_IDENTITIES };
  const of = {
    version: 1,
    name: "demo",
    mode: "production",
    vault,
    broker: { state: ".ppml/broker" },
    owner: { key: ".ppml/owner.key" },
    datasets: {},
    policies: { analysis: { file: "policies/analysis.json" } },
    jobs: {},
    ...(keyVault === undefined ? {} : { azure }),
  };
  return { config: parseProject(stringify(of), "ppml.yaml") };
};

const HSM = "https://corp-hsm.managedhsm.azure.net";
const places: readonly (readonly [string, string, object])[] = [
  ["a Managed HSM", HSM, { name: "corp-hsm", sku: "managedHsm" }],
  ["one written otherwise", HSM, { existing: "Corp-HSM", sku: "managedHsm" }],
  [
    "an existing one, by its id",
    HSM,
    { existing: `${ID}/Microsoft.KeyVault/managedHSMs/corp-hsm`, sku: "managedHsm" },
  ],
  ["a vault", "https://corp-kv.vault.azure.net/", { name: "corp-kv" }],
];

for (const [name, url, place] of places)
  test(`T278: of ${name}, a KEK of another kind than the project says is not sealed for`, () => {
    const project = projectOf(url, { ...place, keks });
    for (const [kek, kind] of [
      ["input", "exportable"],
      ["input-direct", "unwrap-only"],
    ] as const)
      assert.throws(
        () => {
          requireUse(project, { name: kek, kind });
        },
        (error) => {
          assert.ok(isPpmlError(error, "key.not_permitted"));
          assert.match(error.message, /nothing is sealed for it\..*`ppml key show/);
          return true;
        },
      );
    requireUse(project, { name: "input", kind: "unwrap-only" });
    requireUse(project, { name: "input-direct", kind: "exportable" });
  });

test("of KEKs and vaults that the section does not describe nothing is said", () => {
  const of = { name: "corp-hsm", sku: "managedHsm", keks };
  for (const project of [
    projectOf(null, of),
    projectOf(HSM),
    projectOf("https://other-hsm.managedhsm.azure.net", of),
  ])
    requireUse(project, { name: "input", kind: "exportable" });
  for (const name of ["other", "constructor", "__proto__"])
    requireUse(projectOf(HSM, of), { name, kind: "exportable" });
});

test("T278: an exportable KEK under another release policy than the project's is not sealed for", async (context) => {
  const root = mkdtempSync(join(tmpdir(), "ppml-kek-use-"));
  context.after(() => {
    rmSync(root, { recursive: true });
  });
  mkdirSync(join(root, "policies"));
  writeFileSync(join(root, "policies/analysis.json"), JSON.stringify(policyOf(RELEASE_POLICY)));
  const { config } = projectOf(HSM, { name: "corp-hsm", sku: "managedHsm", keks });
  const resolve = (path: string) => join(root, path);
  const project = { root, file: join(root, "ppml.yaml"), config, resolve };
  const [authority] = RELEASE_POLICY.anyOf;
  assert.ok(authority !== undefined);
  const own = parseSkrPolicy(RELEASE_POLICY);
  await requireOwnPolicy(project, { name: "input-direct", releasePolicy: own });
  await requireOwnPolicy(project, { name: "input", releasePolicy: null });
  await requireOwnPolicy(project, { name: "other", releasePolicy: null });
  const others = [
    { ...authority, authority: "https://attackers.eus2.attest.azure.net" },
    { ...authority, allOf: [{ claim: "x-ms-attestation-type", equals: "azurevm" }] },
  ].flatMap((one) => [[one], [authority, one]]);
  for (const anyOf of [...others, null]) {
    const releasePolicy = anyOf === null ? null : parseSkrPolicy({ ...RELEASE_POLICY, anyOf });
    await assert.rejects(
      requireOwnPolicy(project, { name: "input-direct", releasePolicy }),
      (error) =>
        isPpmlError(error, "key.not_permitted") &&
        /another release policy than/.test(error.message),
    );
  }
});
