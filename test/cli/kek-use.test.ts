import assert from "node:assert/strict";
import { test } from "node:test";
import { stringify } from "yaml";
import { isPpmlError } from "../../src/base/index.ts";
import { parseProject } from "../../src/cli/config/parse.ts";
import { requireUse } from "../../src/cli/kek-use.ts";
import { FULL, HSM_IDENTITIES } from "../provision/azure/sections.ts";

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
